/** What stands along the line of an answer: text, reasoning, tool calls, notices, attachments. */

import type { Question } from '../accounts/question.svelte';
import type { FileRef } from '../api/files';
import type { JsonObject, ToolCallRecord, ToolCallStatus } from '../api/types';
import { type Ask, bareName } from '../approvals/ask.svelte';

export type StationState = 'waiting' | 'running' | ToolCallStatus;

export class TextPart {
	readonly kind = 'text';
	readonly key: string;
	text = $state.raw('');

	constructor(key: string, text = '') {
		this.key = key;
		this.text = text;
	}
}

export class ReasoningPart {
	readonly kind = 'reasoning';
	readonly key: string;
	text = $state.raw('');
	isRunning = $state(false);
	/** Null when nobody measured it: reasoning that was replayed after a reload. */
	durationMs = $state<number | null>(null);

	constructor(key: string, text = '', durationMs: number | null = null) {
		this.key = key;
		this.text = text;
		this.durationMs = durationMs;
	}
}

export interface Progress {
	value: number;
	total: number | null;
	message: string | null;
}

export interface CallResult {
	text: string;
	structured: unknown;
	error: string | null;
}

export class CallPart {
	readonly kind = 'call';
	readonly key: string;
	readonly server: string;
	/** Qualified name. */
	readonly tool: string;
	readonly arguments: JsonObject;
	/** What the model wrote when it was not a JSON object. */
	readonly invalidArguments: string | null;
	state = $state<StationState>('running');
	/** What the call waits for, when that is not its turn. */
	waitsFor = $state<'approval' | 'sign_in' | null>(null);
	/** Milliseconds since the epoch. */
	startedAt = $state<number | null>(null);
	durationMs = $state<number | null>(null);
	progress = $state.raw<Progress | null>(null);
	result = $state.raw<CallResult | null>(null);
	/** The last time the owner was asked about it. */
	ask = $state.raw<Ask | null>(null);
	/** The last sign-in it waited for. */
	question = $state.raw<Question | null>(null);
	/** What ran instead, where the owner changed the arguments. */
	ranArguments = $state.raw<JsonObject | null>(null);
	/** Where foreign text in the result came from. */
	sources = $state.raw<string[]>([]);
	/** What the tool returned besides its text. */
	files = $state.raw<readonly FileRef[]>([]);
	/** Whether its server knows how to reverse it. */
	undoable = $state(false);
	isUndone = $state(false);
	isUndoing = $state(false);
	/** Why it could not be undone; empty when nobody tried. */
	undoFailure = $state('');

	constructor(
		call: Pick<ToolCallRecord, 'tool_call_id' | 'tool' | 'server' | 'arguments'>,
		invalidArguments: string | null = null,
	) {
		this.key = call.tool_call_id;
		this.tool = call.tool;
		this.server = call.server;
		this.arguments = call.arguments;
		this.invalidArguments = invalidArguments;
	}

	/** The tool without its server: `calculator__evaluate` reads "evaluate". */
	get name(): string {
		return bareName(this.server, this.tool);
	}

	/** Whether the owner's decision is what it waits for. */
	get isAsking(): boolean {
		return this.state === 'waiting' && this.ask !== null && this.ask.isPending;
	}

	/** Whether the owner's sign-in is what it waits for. */
	get isSigningIn(): boolean {
		return this.state === 'waiting' && this.question !== null && this.question.isPending;
	}

	get canUndo(): boolean {
		return this.undoable && !this.isUndone && this.state === 'done';
	}

	get isOver(): boolean {
		return this.state !== 'waiting' && this.state !== 'running';
	}
}

export class NoticePart {
	readonly kind = 'notice';
	readonly key: string;
	readonly message: string;

	constructor(key: string, message: string) {
		this.key = key;
		this.message = message;
	}
}

/** What the model made, one after the other. */
export class FilesPart {
	readonly kind = 'files';
	readonly key: string;
	files = $state.raw<readonly FileRef[]>([]);

	constructor(key: string, files: readonly FileRef[]) {
		this.key = key;
		this.files = files;
	}
}

export type Part = TextPart | ReasoningPart | CallPart | NoticePart | FilesPart;
