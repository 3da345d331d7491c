/** What the page of approvals shows besides what waits: what was decided, and what stands. */

import type { Api } from '../api/api';
import { ApiError } from '../api/client';
import type { StandingApproval } from '../api/types';
import { gate } from '../text/gate';
import { Ask } from './ask.svelte';
import type { Inbox } from './inbox.svelte';

export class Review {
	decided = $state.raw<Ask[]>([]);
	nextCursor = $state<string | null>(null);
	standing = $state.raw<StandingApproval[]>([]);
	/** The approval the address names. */
	named = $state.raw<Ask | null>(null);
	isUnknown = $state(false);
	error = $state.raw<Error | null>(null);
	revokeFailure = $state('');
	readonly #api: Api;
	readonly #inbox: Inbox;

	constructor(api: Api, inbox: Inbox) {
		this.#api = api;
		this.#inbox = inbox;
	}

	/** Loads everything anew; `id` is the approval the address names. */
	async load(id: string | null): Promise<void> {
		this.error = null;
		try {
			await Promise.all([this.#inbox.refresh(), this.#find(id), this.refresh()]);
		} catch (error) {
			this.error = error instanceof Error ? error : new Error(String(error));
		}
	}

	/** Loads the lists below what waits. Raises what the orchestrator answered. */
	async refresh(): Promise<void> {
		const [page, standing] = await Promise.all([
			this.#api.approvals({ state: null, cursor: null }),
			this.#api.standingApprovals(),
		]);
		this.decided = asksOf(page.items);
		this.nextCursor = page.next_cursor;
		this.standing = standing;
	}

	async loadMore(): Promise<void> {
		if (this.nextCursor === null) return;
		try {
			const page = await this.#api.approvals({ state: null, cursor: this.nextCursor });
			this.decided = [...this.decided, ...asksOf(page.items)];
			this.nextCursor = page.next_cursor;
		} catch {
			// The button is still there.
		}
	}

	async revoke(standing: StandingApproval): Promise<void> {
		this.revokeFailure = '';
		try {
			await this.#api.revoke(standing.id);
		} catch (error) {
			const isGone = error instanceof ApiError && error.status === 404;
			if (!isGone) this.revokeFailure = gate.approvals.revokeFailed;
			if (!isGone) return;
		}
		this.standing = this.standing.filter(({ id }) => id !== standing.id);
	}

	/** Somebody else's approval is as unknown as one that never was. */
	async #find(id: string | null): Promise<void> {
		this.isUnknown = false;
		this.named = null;
		if (id === null) return;
		try {
			const record = await this.#api.approval(id);
			const known = this.#inbox.asks.find((ask) => ask.id === id);
			known?.learn(record);
			this.named = known ?? new Ask(record);
		} catch (error) {
			if (!(error instanceof ApiError) || error.status >= 500) throw error;
			this.isUnknown = true;
		}
	}
}

function asksOf(records: ConstructorParameters<typeof Ask>[0][]): Ask[] {
	return records.filter(({ state }) => state !== 'pending').map((record) => new Ask(record));
}
