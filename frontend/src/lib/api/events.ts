/** Events of a turn with their place in its log. Types this page does not know are passed over. */

import { ConnectionError } from './client';
import { parseExactly } from './exact';
import { readEvents, type ServerSentEvent } from './sse';
import type { ChatEvent } from './types';

export interface SequencedEvent {
	turnId: string;
	seq: number;
	event: ChatEvent;
}

const KNOWN: Record<ChatEvent['type'], true> = {
	turn_started: true,
	text_delta: true,
	reasoning_delta: true,
	tool_call_started: true,
	tool_call_progress: true,
	tool_call_finished: true,
	approval_requested: true,
	approval_resolved: true,
	question_asked: true,
	question_answered: true,
	attachment_added: true,
	source_added: true,
	usage_recorded: true,
	notice: true,
	turn_failed: true,
	turn_finished: true,
};

/** What the owner is asked about is shown to the last digit. */
const WITH_ARGUMENTS = /^approval_|^tool_call_started$/;

export function isTerminal(event: ChatEvent): boolean {
	return event.type === 'turn_finished' || event.type === 'turn_failed';
}

/** The event, or null for one that a newer orchestrator knows and this page does not. */
export function parseEvent({ id, event, data }: ServerSentEvent): SequencedEvent | null {
	const colon = id.lastIndexOf(':');
	const seq = Number(id.slice(colon + 1));
	if (colon < 1 || !Number.isSafeInteger(seq)) return null;
	if (!Object.hasOwn(KNOWN, event)) return null;
	try {
		const content = WITH_ARGUMENTS.test(event) ? parseExactly(data) : JSON.parse(data);
		return { turnId: id.slice(0, colon), seq, event: { ...content, type: event } };
	} catch {
		throw new ConnectionError(`The event ${id} could not be read.`);
	}
}

/** Known events of one stream, in order. A connection that breaks raises `ConnectionError`. */
export async function* streamEvents(
	body: ReadableStream<Uint8Array>,
	onBytes: () => void = () => {},
): AsyncGenerator<SequencedEvent> {
	try {
		for await (const raw of readEvents(body, onBytes)) {
			const parsed = parseEvent(raw);
			if (parsed) yield parsed;
		}
	} catch (error) {
		if (error instanceof DOMException && error.name === 'AbortError') throw error;
		throw error instanceof ConnectionError ? error : new ConnectionError(String(error));
	}
}
