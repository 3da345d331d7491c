/** The routes this page uses, one method each. */

import { Client, type RequestOptions } from './client';
import type {
	AccountList,
	Approval,
	ApprovalPage,
	ApprovalScope,
	ChatRequest,
	JsonObject,
	MessagePage,
	ModelSettingsInForce,
	Owner,
	ServerAccounts,
	ServerEntry,
	ServerList,
	Session,
	SessionChange,
	SessionPage,
	StandingApproval,
	StandingApprovals,
	Undone,
	UndoReport,
} from './types';

type Bytes = ReadableStream<Uint8Array>;

export class Api {
	readonly client: Client;

	constructor(client: Client = new Client()) {
		this.client = client;
	}

	async owner(): Promise<Owner> {
		return (await this.client.json<{ owner: Owner }>('GET', '/api/auth/me')).owner;
	}

	signIn(code: string): Promise<null> {
		return this.client.json('POST', '/api/auth/sign-in', { body: { code } });
	}

	signOut(): Promise<null> {
		return this.client.json('POST', '/api/auth/sign-out');
	}

	modelSettings(): Promise<ModelSettingsInForce> {
		return this.client.json('GET', '/api/settings/model');
	}

	async servers(): Promise<ServerEntry[]> {
		return (await this.client.json<ServerList>('GET', '/api/mcp/servers')).items;
	}

	sessions(query: {
		limit: number;
		cursor: string | null;
		q: string | null;
	}): Promise<SessionPage> {
		return this.client.json('GET', '/api/sessions', { query });
	}

	session(id: string): Promise<Session> {
		return this.client.json('GET', sessionPath(id));
	}

	changeSession(id: string, change: SessionChange): Promise<Session> {
		return this.client.json('PATCH', sessionPath(id), { body: change });
	}

	deleteSession(id: string): Promise<null> {
		return this.client.json('DELETE', sessionPath(id));
	}

	messages(id: string, query: { limit: number; cursor: string | null }): Promise<MessagePage> {
		return this.client.json('GET', `${sessionPath(id)}/messages`, { query });
	}

	startTurn(request: ChatRequest, signal: AbortSignal): Promise<Bytes> {
		return this.client.stream('POST', '/api/chat/stream', { body: request, signal });
	}

	continueTurn(turnId: string, signal: AbortSignal): Promise<Bytes> {
		return this.client.stream('POST', `${turnPath(turnId)}/continue`, { body: {}, signal });
	}

	/** Events with a sequence number above `after`, then the live ones. */
	resumeTurn(turnId: string, after: number, signal: AbortSignal): Promise<Bytes> {
		const options: RequestOptions = { query: { after }, signal };
		return this.client.stream('GET', `${turnPath(turnId)}/events`, options);
	}

	cancelTurn(turnId: string): Promise<unknown> {
		return this.client.json('POST', `${turnPath(turnId)}/cancel`, { body: {} });
	}

	approvals(query: { state: 'pending' | null; cursor: string | null }): Promise<ApprovalPage> {
		return this.client.json('GET', '/api/approvals', { query }, true);
	}

	approval(id: string): Promise<Approval> {
		return this.client.json('GET', approvalPath(id), {}, true);
	}

	approve(
		id: string,
		body: { scope: ApprovalScope; arguments: JsonObject | null },
	): Promise<Approval> {
		return this.client.json('POST', `${approvalPath(id)}/approve`, { body }, true);
	}

	deny(id: string, reason: string | null): Promise<Approval> {
		return this.client.json('POST', `${approvalPath(id)}/deny`, { body: { reason } }, true);
	}

	async standingApprovals(): Promise<StandingApproval[]> {
		const path = '/api/approvals/standing';
		return (await this.client.json<StandingApprovals>('GET', path)).items;
	}

	revoke(standingId: string): Promise<unknown> {
		return this.client.json('DELETE', `/api/approvals/standing/${encodeURIComponent(standingId)}`);
	}

	undoCall(toolCallId: string): Promise<Undone[]> {
		return this.#undo(`/api/chat/tool-calls/${encodeURIComponent(toolCallId)}/undo`);
	}

	undoTurn(turnId: string): Promise<Undone[]> {
		return this.#undo(`${turnPath(turnId)}/undo`);
	}

	async accounts(): Promise<ServerAccounts[]> {
		return (await this.client.json<AccountList>('GET', '/api/accounts')).items;
	}

	/** `address` is the whole one of the page where the provider ended. */
	completeSignIn(server: string, address: string): Promise<unknown> {
		const path = `${accountsPath(server)}/sign-ins/complete`;
		return this.client.json('POST', path, { body: { address } });
	}

	makeDefaultAccount(server: string, account: string): Promise<unknown> {
		return this.client.json('PATCH', accountsPath(server, account), { body: { is_default: true } });
	}

	signOutAccount(server: string, account: string): Promise<unknown> {
		return this.client.json('DELETE', accountsPath(server, account));
	}

	declineQuestion(id: string): Promise<unknown> {
		return this.client.json('POST', `/api/questions/${encodeURIComponent(id)}/decline`, {
			body: {},
		});
	}

	async #undo(path: string): Promise<Undone[]> {
		return (await this.client.json<UndoReport>('POST', path, { body: {} })).items;
	}
}

function accountsPath(...names: string[]): string {
	return ['/api/accounts', ...names.map(encodeURIComponent)].join('/');
}

function approvalPath(id: string): string {
	return `/api/approvals/${encodeURIComponent(id)}`;
}

function sessionPath(id: string): string {
	return `/api/sessions/${encodeURIComponent(id)}`;
}

function turnPath(id: string): string {
	return `/api/chat/turns/${encodeURIComponent(id)}`;
}
