/** Names for the shapes of the orchestrator. All of them are generated from its OpenAPI document. */

import type { ChatEvent, ServerEntry, ToolCallFinished, ToolCallRecord, Turn } from './types.gen';

export type {
	ChatEvent,
	ChatRequest,
	Message,
	MessagePage,
	ModelSettings,
	Owner,
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
