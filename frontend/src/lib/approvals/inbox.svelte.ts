/** What waits for the owner, asked for calmly; and the owner's decisions. */

import { createContext } from 'svelte';
import type { Api } from '../api/api';
import { ApiError, isTransient } from '../api/client';
import type { Approval, ApprovalScope, JsonObject } from '../api/types';
import { strings } from '../text/strings';
import { Ask } from './ask.svelte';

const POLL_MS = 30_000;
const OUTCOME_PAUSES_MS = [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000];

export class Inbox {
	/** In the order of the orchestrator; what was decided while it was looked at stays until `tidy`. */
	asks = $state.raw<Ask[]>([]);
	hasLoaded = $state(false);
	error = $state.raw<Error | null>(null);
	readonly #api: Api;
	/** Only the answer to the latest question counts. */
	#request = 0;

	constructor(api: Api) {
		this.#api = api;
	}

	get count(): number {
		return this.asks.filter((ask) => ask.isPending).length;
	}

	/** Chats in which something waits. */
	get sessionIds(): ReadonlySet<string> {
		const ids = this.asks.filter((ask) => ask.isPending).map((ask) => ask.record.session_id ?? '');
		return new Set(ids);
	}

	async refresh(): Promise<void> {
		this.#request += 1;
		const request = this.#request;
		try {
			const { items } = await this.#api.approvals({ state: 'pending', cursor: null });
			if (request !== this.#request) return;
			await this.#merge(items);
			this.error = null;
			this.hasLoaded = true;
		} catch (error) {
			this.error = error instanceof Error ? error : new Error(String(error));
		}
	}

	/** Makes what an open chat shows and what the inbox shows one and the same. */
	adopt(ask: Ask): void {
		if (!this.asks.includes(ask) && ask.isPending) {
			this.asks = [ask, ...this.asks.filter(({ id }) => id !== ask.id)];
		}
	}

	/** Forgets what is decided. */
	tidy(): void {
		this.asks = this.asks.filter((ask) => ask.isPending);
	}

	/** `changed` holds the arguments to run instead of those that were asked for. */
	approve(ask: Ask, scope: ApprovalScope, changed: JsonObject | null = null): Promise<void> {
		return this.#decide(ask, () => this.#api.approve(ask.id, { scope, arguments: changed }));
	}

	deny(ask: Ask, reason: string): Promise<void> {
		return this.#decide(ask, () => this.#api.deny(ask.id, reason.trim() || null));
	}

	/** Asks until the returned function is called. */
	watch(): () => void {
		const look = () => {
			if (document.visibilityState === 'visible') void this.refresh();
		};
		look();
		const timer = setInterval(look, POLL_MS);
		document.addEventListener('visibilitychange', look);
		addEventListener('focus', look);
		return () => {
			clearInterval(timer);
			document.removeEventListener('visibilitychange', look);
			removeEventListener('focus', look);
		};
	}

	async #decide(ask: Ask, send: () => Promise<Approval>): Promise<void> {
		if (ask.isDeciding || !ask.isPending) return;
		ask.isDeciding = true;
		ask.failure = '';
		try {
			ask.learn(await send());
			void this.#seeOutcome(ask);
		} catch (error) {
			ask.failure = sentenceOf(error);
			// Somebody else was faster: what they decided is shown.
			if (error instanceof ApiError && error.status === 409) await this.#look(ask);
		} finally {
			ask.isDeciding = false;
		}
	}

	/** Looks at what runs now, less and less often. */
	async #seeOutcome(ask: Ask): Promise<void> {
		for (const pause of OUTCOME_PAUSES_MS) {
			if (!ask.isDue) return;
			await new Promise((resolve) => setTimeout(resolve, pause));
			await this.#look(ask);
		}
	}

	/** Those that wait no more were decided elsewhere: their records tell how. */
	async #merge(records: Approval[]): Promise<void> {
		const waiting = new Set(records.map(({ id }) => id));
		const gone = this.asks.filter((ask) => ask.isPending && !waiting.has(ask.id));
		await Promise.all(gone.map((ask) => this.#look(ask)));
		const known = new Map(this.asks.map((ask) => [ask.id, ask]));
		const fresh = records.map((record) => {
			const ask = known.get(record.id) ?? new Ask(record);
			ask.learn(record);
			return ask;
		});
		const decided = this.asks.filter((ask) => !waiting.has(ask.id) && !ask.isPending);
		this.asks = [...fresh, ...decided];
	}

	async #look(ask: Ask): Promise<void> {
		try {
			ask.learn(await this.#api.approval(ask.id));
		} catch (error) {
			if (!isTransient(error)) this.asks = this.asks.filter((shown) => shown !== ask);
		}
	}
}

function sentenceOf(error: unknown): string {
	if (!(error instanceof ApiError) || error.status >= 500) return strings.decision.offline;
	return error.status === 404 ? strings.decision.gone : error.message;
}

export const [getInbox, setInbox] = createContext<Inbox>();
