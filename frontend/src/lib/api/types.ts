/** Names for the shapes of the orchestrator. All of them are generated from its OpenAPI document. */

import type { ChatEvent, ServerEntry, ToolCallFinished, ToolCallRecord, Turn } from './types.gen';

export type {
	ChatEvent,
	ChatRequest,
	Message,
	MessagePage,
	ModelSettings,
	Owner,
	RequestedToolCall,
	ServerEntry,
	ServerList,
	Session,
	SessionChange,
	SessionPage,
	ToolCallRecord,
	Turn,
	TurnError,
} from './types.gen';

export type EventOf<T extends ChatEvent['type']> = Extract<ChatEvent, { type: T }>;
export type FinishReason = NonNullable<Turn['finish_reason']>;
export type JsonObject = Record<string, unknown>;
export type ServerState = ServerEntry['state'];
export type ToolCallState = ToolCallRecord['state'];
export type ToolCallStatus = ToolCallFinished['status'];
export type TurnState = Turn['state'];

/** The shapes of `/api/approvals`. */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
export type ApprovalScope = 'once' | 'session' | 'always';

export interface Approval {
	id: string;
	origin: 'turn' | 'client' | 'api';
	state: ApprovalState;
	tool_call_id: string;
	server: string;
	/** Qualified name. */
	tool: string;
	title: string;
	account?: string | null;
	arguments: JsonObject;
	arguments_to_run?: JsonObject | null;
	level: number;
	effect?: ToolCallRecord['effect'];
	reason: string;
	taint?: string[];
	undoable?: boolean;
	client: string;
	session_id?: string | null;
	turn_id?: string | null;
	created_at: string;
	expires_at: string;
	decided_at?: string | null;
	decided_by?: string | null;
	decision_reason?: string | null;
	scope?: ApprovalScope | null;
	outcome?: JsonObject | null;
}

export interface ApprovalPage {
	items: Approval[];
	next_cursor: string | null;
}

export interface StandingApproval {
	id: string;
	tool: string;
	session_id: string | null;
	created_at: string;
	created_by: string;
}

/** How the reversal of one call ended. */
export interface Undone {
	tool_call_id: string;
	/** Qualified name of the tool whose call was to be reversed. */
	tool: string;
	status: 'undone' | 'failed' | 'unknown';
	error?: string | null;
}
