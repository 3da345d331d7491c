/** Who is signed in where, and the sign-ins that calls wait for. */

import { createContext } from 'svelte';
import type { Api } from '../api/api';
import { ApiError } from '../api/client';
import type { Account, ServerAccounts } from '../api/types';
import { accounts as words } from '../text/accounts';
import type { Question } from './question.svelte';

export class Accounts {
	servers = $state.raw<ServerAccounts[]>([]);
	hasLoaded = $state(false);
	error = $state.raw<Error | null>(null);
	readonly #api: Api;
	/** Only the answer to the latest question counts. */
	#request = 0;

	constructor(api: Api) {
		this.#api = api;
	}

	async refresh(): Promise<void> {
		this.#request += 1;
		const request = this.#request;
		try {
			const servers = await this.#api.accounts();
			if (request !== this.#request) return;
			this.servers = servers;
			this.error = null;
			this.hasLoaded = true;
		} catch (error) {
			this.error = error instanceof Error ? error : new Error(String(error));
		}
	}

	/** Looks again whenever the page is seen anew: one signs in on another. */
	watch(): () => void {
		const look = () => {
			if (document.visibilityState === 'visible') void this.refresh();
		};
		look();
		document.addEventListener('visibilitychange', look);
		addEventListener('focus', look);
		return () => {
			document.removeEventListener('visibilitychange', look);
			removeEventListener('focus', look);
		};
	}

	/** The call fails, and the model is told. The log of the turn says the rest. */
	async decline(question: Question): Promise<void> {
		if (question.isBusy || !question.isPending) return;
		question.isBusy = true;
		question.failure = await sentence(this.#api.declineQuestion(question.id));
		question.isBusy = false;
	}

	/** Ends a sign-in with the address its last page had. Returns why it did not work, or nothing. */
	finish(server: string, address: string): Promise<string> {
		return this.#changed(this.#api.completeSignIn(server, address));
	}

	makeDefault(server: string, { account }: Account): Promise<string> {
		return this.#changed(this.#api.makeDefaultAccount(server, account));
	}

	signOut(server: string, { account }: Account): Promise<string> {
		return this.#changed(this.#api.signOutAccount(server, account));
	}

	async #changed(change: Promise<unknown>): Promise<string> {
		const failure = await sentence(change);
		await this.refresh();
		return failure;
	}
}

async function sentence(change: Promise<unknown>): Promise<string> {
	try {
		await change;
		return '';
	} catch (error) {
		return error instanceof ApiError ? error.message : words.offline;
	}
}

export const [getAccounts, setAccounts] = createContext<Accounts>();
