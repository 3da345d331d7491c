/** Where the reader is: in a new chat, in a stored one, at what waits for a decision, at the accounts. */

export type Route =
	| { name: 'new' }
	| { name: 'chat'; sessionId: string }
	| { name: 'approvals'; approvalId: string | null }
	| { name: 'accounts' };

export const APPROVALS = '/approvals';
export const ACCOUNTS = '/accounts';

export function parseRoute(path: string): Route | null {
	if (path === '/') return { name: 'new' };
	if (/^\/approvals\/?$/.test(path)) return { name: 'approvals', approvalId: null };
	if (/^\/accounts\/?$/.test(path)) return { name: 'accounts' };
	const [, place, encoded] = /^\/(chat|approvals)\/([^/]+)\/?$/.exec(path) ?? [];
	if (encoded === undefined) return null;
	try {
		const id = decodeURIComponent(encoded);
		return place === 'chat'
			? { name: 'chat', sessionId: id }
			: { name: 'approvals', approvalId: id };
	} catch {
		return null;
	}
}

export function hrefOf(sessionId: string | null): string {
	return sessionId === null ? '/' : `/chat/${encodeURIComponent(sessionId)}`;
}

export class Router {
	route = $state.raw<Route>(parseRoute(location.pathname) ?? { name: 'new' });
	/** Counts visits, so that choosing the place one is at can be noticed. */
	visit = $state(0);

	/** Listens until the returned function is called. */
	start(): () => void {
		const onPop = () => this.#show(location.pathname);
		const onClick = (event: MouseEvent) => this.#click(event);
		addEventListener('popstate', onPop);
		document.addEventListener('click', onClick);
		return () => {
			removeEventListener('popstate', onPop);
			document.removeEventListener('click', onClick);
		};
	}

	go(href: string): void {
		if (href !== location.pathname) history.pushState(null, '', href);
		this.#show(href);
	}

	/** Gives the present place its proper address: a new chat has become a stored one. */
	rename(href: string): void {
		history.replaceState(null, '', href);
		this.route = parseRoute(href) ?? this.route;
	}

	#show(path: string): void {
		this.route = parseRoute(path) ?? { name: 'new' };
		this.visit += 1;
	}

	/** Plain clicks on our own links stay in the page; all others are the browser's. */
	#click(event: MouseEvent): void {
		if (event.defaultPrevented || event.button !== 0) return;
		if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
		const link = (event.target as Element | null)?.closest('a');
		if (!link || link.target || link.origin !== location.origin) return;
		if (!parseRoute(link.pathname)) return;
		event.preventDefault();
		this.go(link.pathname);
	}
}
