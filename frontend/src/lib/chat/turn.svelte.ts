/** One turn on the page: what the owner wrote and the line that answers it. */

import type { FileRef } from '../api/files';
import type { ChatEvent, EventOf, FinishReason, TurnError, TurnState } from '../api/types';
import { CallLog } from './calls.svelte';
import {
	type CallPart,
	FilesPart,
	NoticePart,
	type Part,
	ReasoningPart,
	TextPart,
} from './parts.svelte';

export interface Source {
	url: string;
	title: string;
}

/** `sending` and `unsent` are turns the orchestrator has not accepted yet. */
export type ShownState = 'sending' | 'unsent' | TurnState;

export class ChatTurn {
	readonly key: string;
	/** Null when the turn continues an earlier one. */
	readonly userText: string | null;
	/** What the owner attached to it. */
	readonly userFiles: readonly FileRef[];
	id = $state<string | null>(null);
	state = $state<ShownState>('sending');
	parts = $state.raw<Part[]>([]);
	sources = $state.raw<Source[]>([]);
	model = $state('');
	error = $state.raw<TurnError | null>(null);
	finishReason = $state<FinishReason | null>(null);
	costMicrousd = $state(0);
	durationMs = $state<number | null>(null);
	isConnected = $state(true);
	isStopping = $state(false);
	/** The last event that was folded in. */
	seq = 0;
	/** True when the turn was over before this page saw it. */
	isHistory = false;
	/** When calls of a resumed turn began, as the store knows it (milliseconds since the epoch). */
	callStarts: ReadonlyMap<string, number> = new Map();
	/** Calls of a resumed turn that were undone already. */
	undoneCalls: ReadonlySet<string> = new Set();
	/** What became of an undo of the whole turn, in a sentence. */
	undoReport = $state('');
	isUndoing = $state(false);
	#reasoningStart: number | null = null;
	#calls = new CallLog((part) => this.#add(part));

	constructor(key: string, userText: string | null, userFiles: readonly FileRef[] = []) {
		this.key = key;
		this.userText = userText;
		this.userFiles = userFiles;
	}

	get isRunning(): boolean {
		return this.state === 'running' || this.state === 'sending';
	}

	/** All files it shows. */
	get files(): FileRef[] {
		return [
			...this.userFiles,
			...this.parts.flatMap((part) => ('files' in part ? part.files : [])),
		];
	}

	get calls(): CallPart[] {
		return this.parts.filter((part) => part.kind === 'call');
	}

	/** Calls that wait for the owner, in the order they were asked. */
	get asking(): CallPart[] {
		return this.isRunning ? this.calls.filter((call) => call.isAsking || call.isSigningIn) : [];
	}

	/** The answer as Markdown, without reasoning and tools. */
	get answer(): string {
		const texts = this.parts.filter((part) => part.kind === 'text').map((part) => part.text);
		return texts.join('\n\n');
	}

	/** Starts over, for a replay of the log from its first event. */
	rewind(): void {
		this.parts = [];
		this.sources = [];
		this.costMicrousd = 0;
		this.seq = 0;
		this.#calls.clear();
		this.#reasoningStart = null;
	}

	/** Folds one event in; the only way a live turn changes. `now` in milliseconds. */
	apply(event: ChatEvent, now: number): void {
		if (event.type !== 'reasoning_delta') this.#endReasoning(now);
		switch (event.type) {
			case 'turn_started':
				this.id = event.turn_id;
				this.model = event.model;
				this.state = 'running';
				break;
			case 'text_delta':
				this.#text().text += event.text;
				break;
			case 'reasoning_delta':
				this.#reasoning(now).text += event.text;
				break;
			case 'tool_call_started':
				this.#calls.started(event, this.callStarts.get(event.tool_call_id) ?? now);
				break;
			case 'tool_call_progress':
				this.#calls.progressed(event);
				break;
			case 'tool_call_finished':
				this.#calls.finished(event, this.undoneCalls.has(event.tool_call_id));
				break;
			case 'approval_requested':
				this.#calls.approvalRequested(event);
				break;
			case 'approval_resolved':
				this.#calls.approvalResolved(event);
				break;
			case 'question_asked':
				this.#calls.questionAsked(event);
				break;
			case 'question_answered':
				this.#calls.questionAnswered(event);
				break;
			case 'attachment_added':
				this.#attach(event);
				break;
			case 'source_added':
				this.sources = [...this.sources, { url: event.url, title: event.title }];
				break;
			case 'usage_recorded':
				this.costMicrousd += event.cost_microusd;
				this.model = event.model;
				break;
			case 'notice':
				this.#add(new NoticePart(this.#nextKey('notice'), event.message));
				break;
			case 'turn_failed':
				this.#end(event.code === INTERRUPTED ? 'interrupted' : 'failed');
				this.error = { code: event.code, message: event.message, retryable: event.retryable };
				break;
			case 'turn_finished':
				this.#end(event.finish_reason === 'cancelled' ? 'cancelled' : 'finished');
				this.finishReason = event.finish_reason;
				this.costMicrousd = event.cost_microusd;
				this.durationMs = event.duration_ms;
				break;
			default:
				event satisfies never;
		}
	}

	#add(part: Part): void {
		this.parts = [...this.parts, part];
	}

	#nextKey(kind: string): string {
		return `${kind}-${this.parts.length}`;
	}

	/** Below the call it came from; what the model made stands in the line itself. */
	#attach(event: EventOf<'attachment_added'>): void {
		const { attachment_id: id, name, mime_type: mime, size_bytes } = event;
		const { width = null, height = null } = event;
		const file = { id, name, mime, size_bytes, width, height };
		if (this.#calls.attached(event.tool_call_id ?? null, file)) return;
		const last = this.parts.at(-1);
		if (last?.kind === 'files') last.files = [...last.files, file];
		else this.#add(new FilesPart(this.#nextKey('files'), [file]));
	}

	#text(): TextPart {
		const last = this.parts.at(-1);
		if (last?.kind === 'text') return last;
		const part = new TextPart(this.#nextKey('text'));
		this.#add(part);
		return part;
	}

	#reasoning(now: number): ReasoningPart {
		const last = this.parts.at(-1);
		if (last?.kind === 'reasoning') return last;
		const part = new ReasoningPart(this.#nextKey('reasoning'));
		part.isRunning = true;
		this.#reasoningStart = now;
		this.#add(part);
		return part;
	}

	#endReasoning(now: number): void {
		const last = this.parts.at(-1);
		if (last?.kind !== 'reasoning' || !last.isRunning) return;
		last.isRunning = false;
		const duration = now - (this.#reasoningStart ?? now);
		// A replayed log arrives at once: its durations are not those of the thinking.
		last.durationMs = duration >= REPLAYED_MS ? duration : null;
	}

	#end(state: TurnState): void {
		this.state = state;
		this.isStopping = false;
		this.isConnected = true;
		this.#calls.close();
	}
}

const REPLAYED_MS = 250;
/** How the log ends when the orchestrator was restarted in the middle of a turn. */
const INTERRUPTED = 'interrupted';
