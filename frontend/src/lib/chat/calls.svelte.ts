/** What the events of a turn say about its tool calls. */

import { Question } from '../accounts/question.svelte';
import type { FileRef } from '../api/files';
import type { EventOf } from '../api/types';
import { askOfEvent, type Resolution, serverOf } from '../approvals/ask.svelte';
import { CallPart } from './parts.svelte';

export class CallLog {
	readonly #onAdd: (part: CallPart) => void;
	#calls = new Map<string, CallPart>();
	/** The call of each approval and question. */
	#callIds = new Map<string, string>();
	/** Decisions whose question has not arrived yet. */
	#early = new Map<string, Resolution>();

	/** `onAdd` is told of every call once. */
	constructor(onAdd: (part: CallPart) => void) {
		this.#onAdd = onAdd;
	}

	clear(): void {
		this.#calls.clear();
		this.#callIds.clear();
		this.#early.clear();
	}

	/** `at` in milliseconds since the epoch. */
	started(event: EventOf<'tool_call_started'>, at: number): void {
		const part = this.#known(event.tool_call_id) ?? this.#add(new CallPart(event));
		part.state = 'running';
		part.waitsFor = null;
		part.startedAt = at;
	}

	progressed({ tool_call_id, progress, total, message }: EventOf<'tool_call_progress'>): void {
		const part = this.#known(tool_call_id);
		if (part) part.progress = { value: progress, total: total ?? null, message: message ?? null };
	}

	/** Whether the file belongs to a call that is known. */
	attached(callId: string | null, file: FileRef): boolean {
		const part = callId === null ? undefined : this.#known(callId);
		if (part) part.files = [...part.files, file];
		return part !== undefined;
	}

	finished(event: EventOf<'tool_call_finished'>, isUndone: boolean): void {
		const part = this.#known(event.tool_call_id);
		if (!part) return;
		const { text, structured = null, error = null } = event;
		part.state = event.status;
		part.waitsFor = null;
		part.durationMs = event.duration_ms;
		part.progress = null;
		part.result = { text, structured, error };
		part.sources = event.sources ?? [];
		part.undoable = event.undoable ?? false;
		part.isUndone = isUndone;
	}

	approvalRequested(event: EventOf<'approval_requested'>): void {
		const { approval_id, tool_call_id, tool } = event;
		if (this.#callIds.has(approval_id)) return;
		const known = this.#known(tool_call_id);
		const part = known ?? this.#add(new CallPart({ ...event, server: serverOf(tool) }));
		part.ask = askOfEvent(event);
		this.#callIds.set(approval_id, tool_call_id);
		this.#wait(part, 'approval');
		const early = this.#early.get(approval_id);
		if (early) this.approvalResolved(early);
	}

	approvalResolved(event: Resolution): void {
		const part = this.#waiting(event.approval_id);
		if (!part) this.#early.set(event.approval_id, event);
		if (part?.ask?.id !== event.approval_id) return;
		part.ask.resolve(event);
		if (event.arguments) part.ranArguments = event.arguments;
		if (part.state !== 'waiting') return;
		part.waitsFor = null;
		if (event.decision === 'approved') part.state = 'running';
		else part.state = event.decision === 'cancelled' ? 'cancelled' : 'denied';
	}

	questionAsked({ type, ...record }: EventOf<'question_asked'>): void {
		const part = this.#known(record.tool_call_id);
		if (!part || this.#callIds.has(record.question_id)) return;
		const others = [...this.#calls.values()].filter((call) => call.isSigningIn);
		const isRepeated = others.some((call) => call.question?.isLike(record));
		part.question = new Question(record, isRepeated);
		this.#callIds.set(record.question_id, record.tool_call_id);
		this.#wait(part, 'sign_in');
	}

	questionAnswered({ question_id, answer }: EventOf<'question_answered'>): void {
		const part = this.#waiting(question_id);
		if (part?.question?.id !== question_id) return;
		part.question.isPending = false;
		if (part.state !== 'waiting') return;
		part.waitsFor = null;
		if (answer === 'done') part.state = 'running';
		else part.state = answer === 'cancelled' ? 'cancelled' : 'denied';
	}

	/**
	 * The turn is over. The engine ends every call before: one that was sent and has no end is
	 * unknown, one that only waited for the owner never ran.
	 */
	close(): void {
		for (const part of this.#calls.values()) {
			if (part.isOver) continue;
			part.state = part.startedAt === null ? 'cancelled' : 'unknown';
			part.ask?.resolve({ decision: 'cancelled', by: '' });
			if (part.question) part.question.isPending = false;
		}
	}

	#known(callId: string): CallPart | undefined {
		return this.#calls.get(callId);
	}

	#waiting(id: string): CallPart | undefined {
		const callId = this.#callIds.get(id);
		return callId === undefined ? undefined : this.#known(callId);
	}

	#add(part: CallPart): CallPart {
		this.#calls.set(part.key, part);
		this.#onAdd(part);
		return part;
	}

	#wait(part: CallPart, what: 'approval' | 'sign_in'): void {
		if (part.isOver) return;
		part.state = 'waiting';
		part.waitsFor = what;
	}
}
