import { expect, test } from 'vitest';
import type { ChatEvent } from '../src/lib/api/types';
import type { Part } from '../src/lib/chat/parts.svelte';
import { ChatTurn } from '../src/lib/chat/turn.svelte';

const started: ChatEvent = {
	type: 'turn_started',
	turn_id: 't',
	session_id: 's',
	user_message_id: 'u',
	assistant_message_id: 'a',
	model: 'm',
};

function callStarted(id: string, server = 'gmail', name = 'search'): ChatEvent {
	const tool = `${server}__${name}`;
	return { type: 'tool_call_started', tool_call_id: id, tool, server, arguments: { q: 'x' } };
}

function callFinished(
	id: string,
	status: 'done' | 'failed' | 'denied' | 'cancelled' | 'unknown' = 'done',
): ChatEvent {
	return {
		type: 'tool_call_finished',
		tool_call_id: id,
		status,
		duration_ms: 412,
		text: 'ok',
		structured: null,
		attachments: [],
		error: status === 'done' ? null : 'It failed.',
	};
}

/** Folds events that arrive one second apart. */
function folded(...events: ChatEvent[]): ChatTurn {
	const turn = new ChatTurn('key', 'question');
	for (const [index, event] of events.entries()) turn.apply(event, index * 1000);
	return turn;
}

const kinds = (turn: ChatTurn) => turn.parts.map((part) => part.kind);
const first = (turn: ChatTurn): Part | undefined => turn.parts[0];

test('deltas join until something else comes between them', () => {
	const turn = folded(
		started,
		{ type: 'text_delta', text: 'a' },
		{ type: 'text_delta', text: 'b' },
		callStarted('c'),
		callFinished('c'),
		{ type: 'text_delta', text: 'd' },
	);
	expect(kinds(turn)).toEqual(['text', 'call', 'text']);
	expect(turn.answer).toBe('ab\n\nd');
});

test('thinking is timed from its first word to what follows', () => {
	const turn = folded(
		started,
		{ type: 'reasoning_delta', text: 'hm' },
		{ type: 'reasoning_delta', text: 'm' },
		{ type: 'text_delta', text: 'a' },
	);
	expect(first(turn)).toMatchObject({ kind: 'reasoning', text: 'hmm', durationMs: 2000 });
});

test('thinking that was replayed has no duration', () => {
	const turn = new ChatTurn('key', 'question');
	turn.apply({ type: 'reasoning_delta', text: 'hm' }, 1000);
	turn.apply({ type: 'text_delta', text: 'a' }, 1001);
	expect(first(turn)).toMatchObject({ durationMs: null, isRunning: false });
});

test('a call runs, reports and ends', () => {
	const turn = folded(started, callStarted('c'));
	expect(first(turn)).toMatchObject({ state: 'running', startedAt: 1000, name: 'search' });
	turn.apply(
		{ type: 'tool_call_progress', tool_call_id: 'c', progress: 1, total: 4, message: 'mail' },
		0,
	);
	expect(first(turn)).toMatchObject({ progress: { value: 1, total: 4, message: 'mail' } });
	turn.apply(callFinished('c', 'failed'), 0);
	expect(first(turn)).toMatchObject({
		state: 'failed',
		durationMs: 412,
		progress: null,
		result: { error: 'It failed.' },
	});
});

test('a call that began before a reload counts from its true beginning', () => {
	const turn = new ChatTurn('key', null);
	turn.callStarts = new Map([['c', 500]]);
	turn.apply(callStarted('c'), 9000);
	expect(first(turn)).toMatchObject({ startedAt: 500 });
});

test('an approval makes its call wait, also before the call has started', () => {
	const request: ChatEvent = {
		type: 'approval_requested',
		approval_id: 'p',
		tool_call_id: 'c',
		tool: 'gmail__send',
		account: null,
		arguments: {},
		level: 2,
		reason: 'sends mail',
		expires_at: '',
	};
	const turn = folded(started, request);
	expect(first(turn)).toMatchObject({ state: 'waiting', waitsFor: 'approval', server: 'gmail' });
	turn.apply({ type: 'approval_resolved', approval_id: 'p', decision: 'approved', by: 'o' }, 0);
	expect(first(turn)).toMatchObject({ state: 'running', waitsFor: null });
	turn.apply(callStarted('c', 'gmail', 'send'), 0);
	expect(turn.parts).toHaveLength(1);
});

test('events of calls nobody knows are passed over', () => {
	expect(folded(started, callFinished('x')).parts).toEqual([]);
});

test('a failed turn keeps what came and says why', () => {
	const turn = folded(started, { type: 'text_delta', text: 'Half' }, callStarted('c'), {
		type: 'turn_failed',
		code: 'x',
		message: 'Why.',
		retryable: true,
		retry_after_s: null,
	});
	expect(turn).toMatchObject({ state: 'failed', answer: 'Half', error: { message: 'Why.' } });
	expect(turn.parts[1]).toMatchObject({ state: 'unknown' });
	expect(turn.isRunning).toBe(false);
});

test('a turn that a restart broke off is interrupted, not failed', () => {
	const turn = folded(started, {
		type: 'turn_failed',
		code: 'interrupted',
		message: 'Restarted.',
		retryable: true,
	});
	expect(turn.state).toBe('interrupted');
});

test.each([
	['stop', 'finished'],
	['limit', 'finished'],
	['cancelled', 'cancelled'],
] as const)('a turn that ends with %s is %s', (finish_reason, state) => {
	const turn = folded(started, {
		type: 'turn_finished',
		finish_reason,
		cost_microusd: 42,
		duration_ms: 9,
	});
	expect(turn).toMatchObject({ state, finishReason: finish_reason, costMicrousd: 42 });
});

function added(id: string, tool_call_id: string | null, mime_type = 'image/png'): ChatEvent {
	return {
		type: 'attachment_added',
		attachment_id: id,
		tool_call_id,
		name: id,
		mime_type,
		size_bytes: 9,
		width: 320,
		height: 200,
	};
}

test('files stand below their call, and those of the model in the line', () => {
	const turn = folded(
		started,
		callStarted('c'),
		added('shot.png', 'c'),
		added('all.json', 'c', 'application/json'),
		callFinished('c'),
		added('a.png', null),
		added('b.png', null),
		{ type: 'text_delta', text: 'There.' },
		added('c.png', 'unknown'),
	);
	const names = turn.parts.map((part) =>
		'files' in part ? part.files.map(({ id }) => id) : part.kind,
	);
	expect(names).toEqual([['shot.png', 'all.json'], ['a.png', 'b.png'], 'text', ['c.png']]);
	expect(turn.files[0]).toEqual({
		id: 'shot.png',
		name: 'shot.png',
		mime: 'image/png',
		size_bytes: 9,
		width: 320,
		height: 200,
	});
	turn.rewind();
	expect(turn.files).toEqual([]);
});

test('notices, sources, files and costs find their place', () => {
	const turn = folded(
		started,
		{ type: 'notice', code: 'n', message: 'Note.' },
		{ type: 'source_added', url: 'https://example.org', title: 'T' },
		{
			type: 'attachment_added',
			attachment_id: 'f',
			tool_call_id: null,
			name: 'a.pdf',
			mime_type: 'application/pdf',
			size_bytes: 9,
		},
		{
			type: 'usage_recorded',
			round: 1,
			model: 'real-model',
			prompt_tokens: 1,
			completion_tokens: 1,
			reasoning_tokens: 0,
			cached_tokens: 0,
			cost_microusd: 7,
		},
	);
	expect(kinds(turn)).toEqual(['notice', 'files']);
	expect(turn.sources).toEqual([{ url: 'https://example.org', title: 'T' }]);
	expect(turn).toMatchObject({ costMicrousd: 7, model: 'real-model' });
});

test('a replay after a rewind gives the same line', () => {
	const events: ChatEvent[] = [started, { type: 'text_delta', text: 'a' }, callStarted('c')];
	const turn = folded(...events);
	turn.rewind();
	for (const event of events) turn.apply(event, 0);
	expect(kinds(turn)).toEqual(['text', 'call']);
	expect(turn.answer).toBe('a');
});
