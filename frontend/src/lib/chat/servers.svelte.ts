/** The fleet as the sidebar shows it, asked for now and then while the page is looked at. */

import type { Api } from '../api/api';
import type { ServerEntry, ServerState } from '../api/types';

const POLL_MS = 20_000;

export type Shape = 'full' | 'ring' | 'cross';

export class Fleet {
	servers = $state.raw<ServerEntry[]>([]);
	readonly #api: Api;

	constructor(api: Api) {
		this.#api = api;
	}

	get shown(): ServerEntry[] {
		return this.servers.filter((server) => server.enabled);
	}

	get readyCount(): number {
		return this.shown.filter((server) => shapeOf(server.state) === 'full').length;
	}

	async refresh(): Promise<void> {
		try {
			this.servers = await this.#api.servers();
		} catch {
			// The last known state stays; the next look tells.
		}
	}

	/** Asks until the returned function is called. */
	watch(): () => void {
		const look = () => {
			if (document.visibilityState === 'visible') void this.refresh();
		};
		look();
		const timer = setInterval(look, POLL_MS);
		document.addEventListener('visibilitychange', look);
		return () => {
			clearInterval(timer);
			document.removeEventListener('visibilitychange', look);
		};
	}
}

/** Colour is never the only sign: full works, a ring needs care, a cross is away. */
export function shapeOf(state: ServerState): Shape {
	switch (state) {
		case 'ready':
			return 'full';
		case 'connecting':
		case 'degraded':
		case 'changed':
		case 'needs_sign_in':
			return 'ring';
		case 'unavailable':
		case 'disabled':
			return 'cross';
		default:
			state satisfies never;
			return 'ring';
	}
}
