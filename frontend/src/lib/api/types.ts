/** Names for the shapes of the orchestrator. All of them are generated from its OpenAPI document. */

import type {
	Approval,
	ChatEvent,
	ServerEntry,
	ToolCallFinished,
	ToolCallRecord,
	Turn,
} from './types.gen';

export type {
	Account,
	AccountList,
	Approval,
	ApprovalPage,
	AttachmentShown,
	ChatEvent,
	ChatRequest,
	Message,
	MessagePage,
	ModelSettingsInForce,
	Owner,
	RequestedToolCall,
	ServerAccounts,
	ServerEntry,
	ServerList,
	Session,
	SessionChange,
	SessionPage,
	StandingApproval,
	StandingApprovals,
	ToolCallRecord,
	Turn,
	TurnError,
	Undone,
	UndoReport,
	Uploaded,
} from './types.gen';

export type ApprovalScope = NonNullable<Approval['scope']>;
export type EventOf<T extends ChatEvent['type']> = Extract<ChatEvent, { type: T }>;
export type FinishReason = NonNullable<Turn['finish_reason']>;
export type JsonObject = Record<string, unknown>;
export type ServerState = ServerEntry['state'];
export type ToolCallState = ToolCallRecord['state'];
export type ToolCallStatus = ToolCallFinished['status'];
export type TurnState = Turn['state'];
