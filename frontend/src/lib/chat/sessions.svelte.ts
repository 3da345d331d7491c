/** The list of chats in the sidebar: paged, searched, renamed, pinned, deleted. */

import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '../api/api';
import type { Session, SessionChange } from '../api/types';

const PAGE_SIZE = 50;
const LARGEST_PAGE = 200;

export type SessionGroup = 'pinned' | 'today' | 'yesterday' | 'week' | 'older' | 'found';

export class SessionList {
	items = $state.raw<Session[]>([]);
	query = $state('');
	error = $state.raw<Error | null>(null);
	hasLoaded = $state(false);
	nextCursor = $state<string | null>(null);
	/** Of every chat seen so far: a search hides chats, not their names. */
	readonly titles = new SvelteMap<string, string>();
	readonly #api: Api;
	/** Only the answer to the latest question counts. */
	#request = 0;

	constructor(api: Api) {
		this.#api = api;
	}

	/** Loads the first page again. What is shown stays until the answer is here. */
	async refresh(): Promise<void> {
		const limit = Math.min(Math.max(this.items.length, PAGE_SIZE), LARGEST_PAGE);
		await this.#load(null, limit, () => []);
	}

	async loadMore(): Promise<void> {
		if (this.nextCursor !== null) {
			await this.#load(this.nextCursor, PAGE_SIZE, () => this.items);
		}
	}

	async search(query: string): Promise<void> {
		this.query = query;
		await this.refresh();
	}

	async rename(session: Session, title: string): Promise<void> {
		await this.#change(session, { title });
	}

	async pin(session: Session, pinned: boolean): Promise<void> {
		await this.#change(session, { pinned });
	}

	async delete(session: Session): Promise<void> {
		await this.#attempt(async () => {
			await this.#api.deleteSession(session.id);
			this.items = this.items.filter(({ id }) => id !== session.id);
		});
	}

	async #load(cursor: string | null, limit: number, before: () => Session[]): Promise<void> {
		this.#request += 1;
		const request = this.#request;
		await this.#attempt(async () => {
			const q = this.query.trim() || null;
			const page = await this.#api.sessions({ limit, cursor, q });
			if (request !== this.#request) return;
			this.items = [...before(), ...page.items];
			for (const { id, title } of page.items) this.titles.set(id, title);
			this.nextCursor = page.next_cursor;
			this.hasLoaded = true;
		});
	}

	async #change(session: Session, change: SessionChange): Promise<void> {
		await this.#attempt(async () => {
			const changed = await this.#api.changeSession(session.id, change);
			this.items = this.items.map((item) => (item.id === changed.id ? changed : item));
			this.titles.set(changed.id, changed.title);
		});
	}

	async #attempt(action: () => Promise<void>): Promise<void> {
		try {
			await action();
			this.error = null;
		} catch (error) {
			this.error = error instanceof Error ? error : new Error(String(error));
		}
	}
}

/** Groups in the order of the sidebar; found chats keep the order of the search. */
export function groupSessions(
	sessions: Session[],
	now: Date,
	isSearch: boolean,
): [SessionGroup, Session[]][] {
	if (isSearch) return sessions.length ? [['found', sessions]] : [];
	const groups = new Map<SessionGroup, Session[]>();
	for (const name of ['pinned', 'today', 'yesterday', 'week', 'older'] as const) {
		groups.set(name, []);
	}
	for (const session of sessions) groups.get(groupOf(session, now))?.push(session);
	return [...groups].filter(([, members]) => members.length > 0);
}

function groupOf(session: Session, now: Date): SessionGroup {
	if (session.pinned) return 'pinned';
	const updated = new Date(session.updated_at);
	const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
	const daysAgo = Math.ceil((midnight.getTime() - updated.getTime()) / 86_400_000);
	if (daysAgo <= 0) return 'today';
	if (daysAgo === 1) return 'yesterday';
	return daysAgo <= 7 ? 'week' : 'older';
}

export interface SnippetPiece {
	text: string;
	isHit: boolean;
}

/** A search snippet in pieces; the orchestrator encloses hits in `\u0002` and `\u0003`. */
export function snippetPieces(snippet: string): SnippetPiece[] {
	return snippet.split('\u0002').flatMap((piece, index) => {
		if (index === 0) return piece ? [{ text: piece, isHit: false }] : [];
		const [hit = '', ...rest] = piece.split('\u0003');
		const after = rest.join('');
		const pieces = [{ text: hit, isHit: true }];
		return after ? [...pieces, { text: after, isHit: false }] : pieces;
	});
}
