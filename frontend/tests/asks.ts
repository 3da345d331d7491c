/** Approvals as the orchestrator tells them, for tests. */

import type { Approval, ChatEvent, EventOf } from '../src/lib/api/types';

export function approval(more: Partial<Approval> = {}): Approval {
	return {
		id: 'p',
		origin: 'turn',
		state: 'pending',
		tool_call_id: 'c',
		server: 'effects',
		tool: 'effects__send_message',
		title: 'Send message',
		arguments: { to: 'ines@example.org', count: 2 },
		level: 2,
		reason: 'It changes something.',
		client: 'web chat',
		session_id: 's',
		turn_id: 't',
		created_at: '2026-11-20T10:00:00Z',
		expires_at: '2026-11-23T10:00:00Z',
		...more,
	};
}

export function requested(
	more: Partial<EventOf<'approval_requested'>> = {},
): EventOf<'approval_requested'> {
	return {
		type: 'approval_requested',
		approval_id: 'p',
		tool_call_id: 'c',
		tool: 'effects__send_message',
		arguments: { to: 'ines@example.org', count: 2 },
		level: 2,
		reason: 'It changes something.',
		taint: ['a mail of x@example.org'],
		undoable: false,
		expires_at: '2026-11-23T10:00:00Z',
		...more,
	};
}

export function resolved(
	decision: EventOf<'approval_resolved'>['decision'],
	more: Partial<EventOf<'approval_resolved'>> = {},
): ChatEvent {
	return { type: 'approval_resolved', approval_id: 'p', decision, by: 'web', ...more };
}

export function finished(
	status: EventOf<'tool_call_finished'>['status'],
	more: Partial<EventOf<'tool_call_finished'>> = {},
): ChatEvent {
	const error = status === 'done' ? null : 'It did not run.';
	const ending = { status, duration_ms: 5, text: '', structured: null, attachments: [], error };
	return { type: 'tool_call_finished', tool_call_id: 'c', ...ending, ...more };
}

export const callStarted: ChatEvent = {
	type: 'tool_call_started',
	tool_call_id: 'c',
	tool: 'effects__send_message',
	server: 'effects',
	arguments: {},
};

export function signInAsked(
	more: Partial<EventOf<'question_asked'>> = {},
): EventOf<'question_asked'> {
	return {
		type: 'question_asked',
		question_id: 'q',
		tool_call_id: 'c',
		server: 'gmail',
		title: 'Gmail',
		message: 'Nobody is signed in to Gmail.',
		url: '/oauth/gmail/start?question=q',
		account: null,
		capability: 'read',
		reason: 'no_account',
		expires_at: '2026-11-23T10:00:00Z',
		...more,
	};
}

export function signInEnded(answer: EventOf<'question_answered'>['answer']): ChatEvent {
	return { type: 'question_answered', question_id: 'q', tool_call_id: 'c', answer };
}
