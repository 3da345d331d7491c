import { expect, test } from 'vitest';
import type { ChatEvent } from '../src/lib/api/types';
import type { CallPart } from '../src/lib/chat/parts.svelte';
import { ChatTurn } from '../src/lib/chat/turn.svelte';
import { callStarted, finished, requested, resolved, signInAsked, signInEnded } from './asks';

const started: ChatEvent = {
	type: 'turn_started',
	turn_id: 't',
	session_id: 's',
	user_message_id: 'u',
	assistant_message_id: 'a',
	model: 'm',
};
const over: ChatEvent = {
	type: 'turn_finished',
	finish_reason: 'stop',
	cost_microusd: 0,
	duration_ms: 1,
};

function folded(...events: ChatEvent[]): ChatTurn {
	const turn = new ChatTurn('key', 'question');
	for (const event of [started, ...events]) turn.apply(event, 0);
	return turn;
}

function onlyCall(turn: ChatTurn): CallPart {
	const [call, ...others] = turn.calls;
	expect(others).toEqual([]);
	if (!call) return expect.unreachable();
	return call;
}

test('a request makes the call wait and says all that the owner must know', () => {
	const turn = folded(requested());
	const call = onlyCall(turn);
	expect(call).toMatchObject({ state: 'waiting', waitsFor: 'approval', server: 'effects' });
	expect(call.ask?.record).toMatchObject({
		id: 'p',
		title: 'Send message',
		reason: 'It changes something.',
		taint: ['a mail of x@example.org'],
		undoable: false,
	});
	expect(turn.asking).toEqual([call]);
});

test.each([
	['approved', 'running'],
	['denied', 'denied'],
	['expired', 'denied'],
	['cancelled', 'cancelled'],
] as const)('what was %s is %s at once, before its call ends', (decision, state) => {
	const turn = folded(requested(), resolved(decision));
	const call = onlyCall(turn);
	expect(call).toMatchObject({ state, waitsFor: null });
	expect(call.ask?.record.state).toBe(decision);
	expect(turn.asking).toEqual([]);
});

const approvedEnd = [requested(), resolved('approved'), callStarted, finished('done')];

test.each([
	['asked before it starts', approvedEnd, 'done'],
	[
		'asked once it has started',
		[callStarted, requested(), resolved('approved'), finished('done')],
		'done',
	],
	[
		'decided before it is asked',
		[resolved('approved'), requested(), callStarted, finished('done')],
		'done',
	],
	['ended before it is decided', [requested(), finished('denied'), resolved('denied')], 'denied'],
	[
		'ended before it is asked',
		[callStarted, finished('done'), requested(), resolved('approved')],
		'done',
	],
	['told twice', [...approvedEnd, ...approvedEnd], 'done'],
	['denied', [requested(), resolved('denied'), finished('denied')], 'denied'],
	['expired', [requested(), resolved('expired'), finished('denied')], 'denied'],
	['stopped', [requested(), resolved('cancelled'), finished('cancelled')], 'cancelled'],
	['unknown', [requested(), resolved('approved'), callStarted, finished('unknown')], 'unknown'],
] as const)('a call that is %s ends once', (_, events, state) => {
	const turn = folded(...events);
	expect(onlyCall(turn)).toMatchObject({ state, waitsFor: null });
	expect(turn.asking).toEqual([]);
});

test('a decision about an approval nobody asked for changes nothing', () => {
	expect(folded(resolved('approved')).parts).toEqual([]);
	const turn = folded(requested(), resolved('denied', { approval_id: 'other' }));
	expect(onlyCall(turn).isAsking).toBe(true);
});

test('arguments the owner changed stand beside those that were asked for', () => {
	const turn = folded(requested(), resolved('approved', { arguments: { to: 'me' } }), callStarted);
	expect(onlyCall(turn)).toMatchObject({
		arguments: { to: 'ines@example.org', count: 2 },
		ranArguments: { to: 'me' },
	});
});

test('the reason of a denial is kept', () => {
	const call = onlyCall(folded(requested(), resolved('denied', { reason: 'wrong Ines' })));
	expect(call.ask?.record).toMatchObject({ decision_reason: 'wrong Ines', decided_by: 'web' });
});

test('a limit may ask about the same call a second time', () => {
	const again = requested({ approval_id: 'q', reason: 'The limit of this turn.' });
	const turn = folded(requested(), resolved('approved'), callStarted, again);
	expect(onlyCall(turn)).toMatchObject({ state: 'waiting', isAsking: true });
	expect(onlyCall(turn).ask?.record.reason).toBe('The limit of this turn.');
	turn.apply(resolved('approved'), 0);
	expect(onlyCall(turn).isAsking).toBe(true);
	turn.apply(resolved('denied', { approval_id: 'q' }), 0);
	expect(onlyCall(turn).state).toBe('denied');
});

test('calls that are asked about together wait and go on one by one', () => {
	const other = requested({ approval_id: 'q', tool_call_id: 'd' });
	const turn = folded(requested(), other, resolved('approved', { approval_id: 'q' }));
	expect(turn.calls.map(({ state }) => state)).toEqual(['waiting', 'running']);
	expect(turn.asking).toHaveLength(1);
});

test('a turn that ends leaves nothing waiting; what was never sent never ran', () => {
	const call = onlyCall(folded(requested(), over));
	expect(call).toMatchObject({ state: 'cancelled', isAsking: false });
	expect(call.ask?.record.state).toBe('cancelled');
	expect(onlyCall(folded(requested(), resolved('approved'), callStarted, over)).state).toBe(
		'unknown',
	);
});

test('a replay of a waiting turn asks the same question', () => {
	const turn = folded(requested());
	turn.rewind();
	for (const event of [started, requested()]) turn.apply(event, 0);
	expect(onlyCall(turn).isAsking).toBe(true);
	turn.apply(resolved('approved'), 0);
	expect(onlyCall(turn).state).toBe('running');
});

test('what a call read and whether it can be undone comes with its end', () => {
	const end = finished('done', { sources: ['x@example.org'], undoable: true });
	const call = onlyCall(folded(callStarted, end));
	expect(call).toMatchObject({ sources: ['x@example.org'], canUndo: true, isUndone: false });
	expect(onlyCall(folded(callStarted, finished('failed', { undoable: true }))).canUndo).toBe(false);
});

test('a call that was undone before a reload cannot be undone again', () => {
	const turn = new ChatTurn('key', null);
	turn.undoneCalls = new Set(['c']);
	for (const event of [started, callStarted, finished('done', { undoable: true })]) {
		turn.apply(event, 0);
	}
	expect(onlyCall(turn)).toMatchObject({ isUndone: true, canUndo: false });
});

test('a call that needs a sign-in waits with a card, and runs on after it', () => {
	const turn = folded(callStarted, signInAsked());
	const call = onlyCall(turn);
	expect(call).toMatchObject({ state: 'waiting', waitsFor: 'sign_in', isSigningIn: true });
	expect(call.question?.record.url).toBe('/oauth/gmail/start?question=q');
	expect(turn.asking).toEqual([call]);
	turn.apply(signInEnded('done'), 0);
	expect(call).toMatchObject({ state: 'running', waitsFor: null, isSigningIn: false });
});

test.each([
	['declined', 'denied'],
	['expired', 'denied'],
	['cancelled', 'cancelled'],
] as const)('a sign-in that is %s makes its call %s', (answer, state) => {
	const turn = folded(callStarted, signInAsked(), signInEnded(answer));
	expect(onlyCall(turn)).toMatchObject({ state, isSigningIn: false });
	expect(turn.asking).toEqual([]);
});

test('calls that wait for the same sign-in share one card', () => {
	const turn = folded(
		callStarted,
		{ ...callStarted, tool_call_id: 'd' } as ChatEvent,
		{ ...callStarted, tool_call_id: 'e' } as ChatEvent,
		signInAsked(),
		signInAsked({ question_id: 'r', tool_call_id: 'd' }),
		signInAsked({ question_id: 's', tool_call_id: 'e', capability: 'write' }),
	);
	expect(turn.calls.map((call) => call.question?.isRepeated)).toEqual([false, true, false]);
});

test('a turn that ends leaves no card of a sign-in', () => {
	const turn = folded(callStarted, signInAsked(), over);
	expect(onlyCall(turn)).toMatchObject({ isSigningIn: false });
});
