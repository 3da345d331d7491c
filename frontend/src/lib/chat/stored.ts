/** Stored messages, folded into the same turns that live events make. */

import { ApiError, isTransient } from '../api/client';
import type { FileRef } from '../api/files';
import type { Message, RequestedToolCall, ToolCallRecord, ToolCallState, Turn } from '../api/types';
import {
	CallPart,
	type CallResult,
	FilesPart,
	type Part,
	ReasoningPart,
	type StationState,
	TextPart,
} from './parts.svelte';
import { ChatTurn, type Source } from './turn.svelte';

/** Turns in the order of their messages, oldest first. Running turns come without an answer. */
export function foldMessages(messages: Message[], turns: Turn[]): ChatTurn[] {
	const rows = new Map(turns.map((turn) => [turn.id, turn]));
	const askedBy = new Map(turns.map((turn) => [turn.user_message_id, turn.id]));
	const groups = new Map<string, Message[]>();
	for (const message of messages) {
		const key = message.turn_id ?? askedBy.get(message.id) ?? message.id;
		const group = groups.get(key);
		if (group) group.push(message);
		else groups.set(key, [message]);
	}
	// A turn that has just begun may have no message on this page yet.
	for (const turn of turns) {
		if (turn.state === 'running' && !groups.has(turn.id)) groups.set(turn.id, []);
	}
	return [...groups].map(([key, group]) => foldTurn(key, group, rows.get(key) ?? null));
}

/**
 * Loaded turns, but those that are on the page already stay the same objects, so that nothing is
 * drawn again. Turns the store does not know yet stay at the end.
 */
export function mergeTurns(
	shown: ChatTurn[],
	loaded: ChatTurn[],
	followed: ReadonlySet<ChatTurn>,
): ChatTurn[] {
	const byId = new Map(shown.map((turn) => [turn.id, turn]));
	const merged = loaded.map((turn) => {
		const before = turn.id === null ? undefined : byId.get(turn.id);
		const isOver = before?.state === turn.state && !turn.isRunning;
		return before && (followed.has(before) || isOver) ? before : turn;
	});
	const isNew = (turn: ChatTurn) => turn.id === null || followed.has(turn);
	return [...merged, ...shown.filter((turn) => isNew(turn) && !merged.includes(turn))];
}

/** Older messages on top. The border may cut a turn in two: its halves are folded again as one. */
export function prependPage(
	older: Message[],
	messages: Message[],
	rows: Turn[],
	shown: ChatTurn[],
): ChatTurn[] {
	const firstKey = shown[0]?.key;
	const isCut = older.some((message) => message.turn_id === firstKey);
	const rest = isCut ? messages.filter((message) => message.turn_id === firstKey) : [];
	const wanted = [...older, ...rest];
	return [...foldMessages(wanted, rowsOf(rows, wanted)), ...(isCut ? shown.slice(1) : shown)];
}

/** The rows that belong to these messages, each once. */
function rowsOf(rows: Turn[], messages: Message[]): Turn[] {
	const wanted = new Set(messages.map((message) => message.turn_id));
	return [...new Map(rows.map((row) => [row.id, row])).values()].filter((row) =>
		wanted.has(row.id),
	);
}

/** The orchestrator never accepted the turn. */
export function refuse(turn: ChatTurn, error: unknown): void {
	turn.state = 'unsent';
	turn.isConnected = true;
	const isRefusal = error instanceof ApiError;
	turn.error = {
		code: isRefusal ? error.code : 'connection_failed',
		message: isRefusal ? error.message : '',
		retryable: isTransient(error),
	};
}

function foldTurn(key: string, messages: Message[], row: Turn | null): ChatTurn {
	const user = messages.find((message) => message.role === 'user');
	const turn = new ChatTurn(key, user?.content ?? null, refsOf(user));
	const records = recordsOf(messages);
	turn.id = row?.id ?? null;
	turn.state = row?.state ?? 'finished';
	turn.model = row?.model ?? '';
	turn.error = row?.error ?? null;
	turn.finishReason = row?.finish_reason ?? null;
	turn.costMicrousd = row?.cost_microusd ?? 0;
	turn.durationMs = row ? durationOf(row) : null;
	if (turn.state === 'running') {
		turn.callStarts = startsOf(records);
		turn.undoneCalls = undoneOf(records);
		return turn;
	}
	turn.isHistory = true;
	const answers = messages.filter((message) => message.role === 'assistant');
	turn.parts = answers.flatMap((message) => partsOf(message, records));
	turn.sources = answers.flatMap((message) => (message.sources ?? []).flatMap(toSource));
	return turn;
}

function recordsOf(messages: Message[]): Map<string, ToolCallRecord> {
	const calls = messages.flatMap((message) => (message.tool_call ? [message.tool_call] : []));
	return new Map(calls.map((call) => [call.tool_call_id, call]));
}

function startsOf(records: Map<string, ToolCallRecord>): Map<string, number> {
	const starts = new Map<string, number>();
	for (const [id, record] of records) {
		if (record.started_at) starts.set(id, Date.parse(record.started_at));
	}
	return starts;
}

function undoneOf(records: Map<string, ToolCallRecord>): Set<string> {
	return new Set([...records].filter(([, record]) => record.undone_at).map(([id]) => id));
}

function partsOf(message: Message, records: Map<string, ToolCallRecord>): Part[] {
	const parts: Part[] = [];
	if (message.reasoning) {
		parts.push(
			new ReasoningPart(`${message.id}-reasoning`, message.reasoning, message.reasoning_ms ?? null),
		);
	}
	if (message.content) parts.push(new TextPart(`${message.id}-text`, message.content));
	const files = refsOf(message);
	if (files.length) parts.push(new FilesPart(`${message.id}-files`, files));
	for (const requested of message.tool_calls ?? []) {
		parts.push(callOf(requested, records.get(requested.tool_call_id)));
	}
	return parts;
}

function callOf(requested: RequestedToolCall, record: ToolCallRecord | undefined): CallPart {
	const part = new CallPart(requested, requested.invalid_arguments ?? null);
	part.state = stationState(record?.state ?? 'planned');
	if (!record) return part;
	part.durationMs = record.duration_ms ?? null;
	if (part.state !== 'cancelled') part.result = resultOf(record);
	part.ranArguments = record.ran_arguments ?? null;
	part.sources = record.sources ?? [];
	part.files = refsOf(record);
	part.undoable = record.undoable ?? false;
	part.isUndone = Boolean(record.undone_at);
	return part;
}

function resultOf({ text = '', structured = null, error = null }: ToolCallRecord): CallResult {
	return { text, structured, error };
}

/** The files a message or a call names. */
function refsOf(holder: Message | ToolCallRecord | undefined): FileRef[] {
	return holder?.attachments ?? [];
}

/** The turn is over: a call that was only planned never ran, one without an end is unknown. */
function stationState(state: ToolCallState): StationState {
	if (state === 'planned') return 'cancelled';
	return state === 'started' ? 'unknown' : state;
}

function durationOf(row: Turn): number | null {
	if (!row.finished_at) return null;
	return Math.max(0, Date.parse(row.finished_at) - Date.parse(row.created_at));
}

function toSource({ url, title }: Record<string, unknown>): Source[] {
	if (typeof url !== 'string') return [];
	return [{ url, title: typeof title === 'string' ? title : url }];
}
