// @vitest-environment happy-dom
import { expect, test, vi } from 'vitest';
import { parseEvent } from '../src/lib/api/events';
import { parseExactly } from '../src/lib/api/exact';
import { Ask } from '../src/lib/approvals/ask.svelte';
import { fieldsOf, isSame, readFields } from '../src/lib/approvals/editor';
import { Inbox } from '../src/lib/approvals/inbox.svelte';
import { Review } from '../src/lib/approvals/review.svelte';
import { CallPart } from '../src/lib/chat/parts.svelte';
import { ChatTurn } from '../src/lib/chat/turn.svelte';
import { Undo } from '../src/lib/chat/undo.svelte';
import { formatMoment, formatRemaining } from '../src/lib/text/moments';
import { approval, callStarted, finished } from './asks';
import { json, scriptedApi } from './streams';

const values = {
	text: 'a\nb',
	number: 2.5,
	yes: true,
	to: ['a@example.org', 'b@example.org'],
	nested: { deep: [1, null] },
	none: null,
	empty: [],
};

test('arguments that are not touched come back as they were', () => {
	const fields = fieldsOf(values);
	expect(fields.map(({ kind }) => kind)).toEqual([
		'text',
		'number',
		'switch',
		'lines',
		'json',
		'json',
		'json',
	]);
	expect(readFields(fields)).toEqual(values);
});

const LONG =
	'{"account":12345678901234567890,"amount":1.0,"share":0.30000000000000000004,"list":[9007199254740993],"n":2}';

test('long numbers are shown and sent to the last digit, also beside a field that was changed', () => {
	const fields = fieldsOf(parseExactly(LONG));
	expect(fields.map(({ kind, text }) => [kind, text.replace(/\s/g, '')])).toEqual([
		['number', '12345678901234567890'],
		['number', '1.0'],
		['number', '0.30000000000000000004'],
		['json', '[9007199254740993]'],
		['number', '2'],
	]);
	const same = readFields(fields);
	expect(isSame(same, parseExactly(LONG))).toBe(true);
	for (const field of fields) if (field.name === 'n') field.text = '3';
	expect(JSON.stringify(readFields(fields))).toBe(LONG.replace('"n":2', '"n":3'));
	for (const field of fields) if (field.name === 'account') field.text = '12345678901234567891';
	expect(isSame(readFields(fields), same)).toBe(false);
});

test('the inbox and the log of a turn keep the digits of a call', async () => {
	const record = JSON.stringify({ ...approval(), arguments: 0 }).replace(
		'"arguments":0',
		`"arguments":${LONG}`,
	);
	const page = `{"items":[${record}],"next_cursor":null}`;
	const { api } = scriptedApi(() => new Response(page));
	const inbox = new Inbox(api);
	await inbox.refresh();
	expect(JSON.stringify(inbox.asks[0]?.record.arguments)).toBe(LONG);
	const parsed = parseEvent({
		id: 't:1',
		event: 'approval_requested',
		data: `{"arguments":${LONG}}`,
	});
	expect(parsed?.event).toMatchObject({ type: 'approval_requested' });
	expect(JSON.stringify(parsed?.event)).toContain(LONG);
});

test.each([
	['text', 'number', '3', 3],
	['number', 'number', '1e3', 1000],
	['switch', 'yes', 'false', false],
	['lines', 'to', ' c@example.org \n\n', ['c@example.org']],
	['json', 'nested', '{"deep": []}', { deep: [] }],
	['text', 'text', '', ''],
] as const)('a changed %s field is read as its kind', (_, name, text, expected) => {
	const fields = fieldsOf(values);
	for (const field of fields) if (field.name === name) field.text = text;
	const sent: unknown = JSON.parse(JSON.stringify(readFields(fields)));
	expect(sent).toEqual({ ...values, [name]: expected });
});

test.each([
	['nested', '{"deep": ', 'nested is not valid JSON.'],
	['none', '', 'none is not valid JSON.'],
	['number', 'two', 'number must be a number.'],
	['number', '"2"', 'number must be a number.'],
	['number', '1e999', 'number must be a number.'],
])('a wrong value of %s is told and keeps what was written', (name, text, problem) => {
	const fields = fieldsOf(values);
	const field = fields.find((candidate) => candidate.name === name);
	if (!field) return expect.unreachable();
	field.text = text;
	expect(readFields(fields)).toBeNull();
	expect(field).toMatchObject({ text, problem });
	expect(fields.filter((other) => other.problem)).toHaveLength(1);
	field.text = '1';
	expect(readFields(fields)).not.toBeNull();
	expect(field.problem).toBe('');
});

test('a list with lines of its own is not cut at them', () => {
	expect(fieldsOf({ to: ['a\nb'] })[0]?.kind).toBe('json');
	expect(fieldsOf({ to: [' a'] })[0]?.kind).toBe('json');
	expect(fieldsOf({ to: ['a', 1] })[0]?.kind).toBe('json');
});

test('the same arguments are the same in any order, others are not', () => {
	expect(isSame({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toBe(true);
	expect(isSame({ a: 1 }, { a: 1, b: undefined })).toBe(false);
	expect(isSame({ a: [1] }, { a: { 0: 1 } })).toBe(false);
	expect(isSame({ a: null }, { a: {} })).toBe(false);
	expect(isSame({ a: '1' }, { a: 1 })).toBe(false);
});

const page = (...items: unknown[]) => json({ items, next_cursor: null });

test('an approval is sent with its scope and its changed arguments', async () => {
	const { api, calls } = scriptedApi(() => json(approval({ state: 'approved' })));
	const ask = new Ask(approval());
	await new Inbox(api).approve(ask, 'session', { to: 'me' });
	expect(calls).toEqual([
		{
			method: 'POST',
			path: '/api/approvals/p/approve',
			body: { scope: 'session', arguments: { to: 'me' } },
		},
	]);
	expect(ask).toMatchObject({ isPending: false, isDeciding: false, failure: '' });
});

test('a denial carries its reason, or none', async () => {
	const denied = () => json(approval({ state: 'denied' }));
	const { api, calls } = scriptedApi(denied, denied);
	const inbox = new Inbox(api);
	await inbox.deny(new Ask(approval()), ' wrong Ines ');
	await inbox.deny(new Ask(approval()), '  ');
	expect(calls.map(({ body }) => body)).toEqual([{ reason: 'wrong Ines' }, { reason: null }]);
});

test('two clicks decide once', async () => {
	const { api, calls } = scriptedApi(() => json(approval({ state: 'approved' })));
	const inbox = new Inbox(api);
	const ask = new Ask(approval());
	await Promise.all([inbox.approve(ask, 'once'), inbox.approve(ask, 'once')]);
	await inbox.deny(ask, '');
	expect(calls).toHaveLength(1);
});

test('whoever was slower sees what was decided, and why their decision did not count', async () => {
	const { api } = scriptedApi(
		() => json({ code: 'conflict', detail: 'Denied at the terminal already.' }, 409),
		() => json(approval({ state: 'denied', decided_by: 'terminal' })),
	);
	const ask = new Ask(approval());
	await new Inbox(api).approve(ask, 'once');
	expect(ask.record).toMatchObject({ state: 'denied', decided_by: 'terminal' });
	expect(ask.failure).toBe('Denied at the terminal already.');
});

test.each([
	['away', () => Promise.reject(new TypeError('network')), /not answering/],
	['broken', () => json({}, 500), /not answering/],
	['without it', () => json({ code: 'not_found', detail: 'x' }, 404), /does not exist/],
	['refusing', () => json({ code: 'invalid', detail: 'No such scope.' }, 422), /No such scope/],
])('an orchestrator that is %s leaves the question open and says why', async (_, answer, words) => {
	const { api } = scriptedApi(answer);
	const ask = new Ask(approval());
	await new Inbox(api).approve(ask, 'once');
	expect(ask).toMatchObject({ isPending: true, isDeciding: false });
	expect(ask.failure).toMatch(words);
});

test('what runs on approval for another program is looked at until it has ended', async () => {
	vi.useFakeTimers();
	const approved = approval({ origin: 'client', state: 'approved' });
	const { api, calls } = scriptedApi(
		() => json(approved),
		() => json(approved),
		() => json({ ...approved, outcome: { status: 'done' } }),
	);
	const ask = new Ask(approval({ origin: 'client' }));
	await new Inbox(api).approve(ask, 'once');
	expect(ask.isDue).toBe(true);
	await vi.runAllTimersAsync();
	expect(ask.isDue).toBe(false);
	expect(calls).toHaveLength(3);
	vi.useRealTimers();
});

test('a stale answer does not reopen what is decided', () => {
	const ask = new Ask(approval({ state: 'denied' }));
	ask.learn(approval());
	expect(ask.isPending).toBe(false);
	ask.resolve({ decision: 'approved', by: 'web' });
	expect(ask.record.state).toBe('denied');
});

test('looking again keeps what is on the page, and tells what others decided', async () => {
	const { api } = scriptedApi(
		() => page(approval(), approval({ id: 'q' })),
		() => page(approval({ id: 'r' }), approval()),
		() => json(approval({ id: 'q', state: 'approved', decided_by: 'terminal' })),
	);
	const inbox = new Inbox(api);
	await inbox.refresh();
	const before = inbox.asks;
	await inbox.refresh();
	expect(inbox.asks.map(({ id }) => id)).toEqual(['r', 'p', 'q']);
	expect(inbox.asks.slice(1)).toEqual(before);
	expect(inbox.asks[1]).toBe(before[0]);
	expect(inbox.count).toBe(2);
	inbox.tidy();
	expect(inbox.asks.map(({ id }) => id)).toEqual(['r', 'p']);
});

test('what a chat asks and what the inbox lists is one thing', async () => {
	const { api } = scriptedApi(() => page(approval({ title: 'Send it' })));
	const inbox = new Inbox(api);
	const ask = new Ask(approval({ title: '' }));
	inbox.adopt(ask);
	inbox.adopt(ask);
	await inbox.refresh();
	expect(inbox.asks).toEqual([ask]);
	expect(ask.record.title).toBe('Send it');
	expect([...inbox.sessionIds]).toEqual(['s']);
});

test('an inbox that cannot be reached keeps what it knew', async () => {
	const { api } = scriptedApi(
		() => page(approval()),
		() => json({}, 503),
	);
	const inbox = new Inbox(api);
	await inbox.refresh();
	await inbox.refresh();
	expect(inbox.count).toBe(1);
	expect(inbox.error).not.toBeNull();
});

test('an address that names nobody’s approval says so', async () => {
	const { api } = scriptedApi(
		() => page(),
		() => json({ code: 'not_found', detail: 'x' }, 404),
		() => page(approval({ state: 'denied' }), approval({ id: 'q' })),
		() => json({ items: [] }),
	);
	const review = new Review(api, new Inbox(api));
	await review.load('foreign');
	expect(review).toMatchObject({ isUnknown: true, error: null });
	expect(review.decided.map(({ id }) => id)).toEqual(['p']);
});

test('a standing approval is revoked once', async () => {
	const standing = { id: 'x', tool: 'a__b', session_id: null, created_at: '', created_by: 'web' };
	const { api, calls } = scriptedApi(
		() => json({}, 503),
		() => new Response(null, { status: 204 }),
	);
	const review = new Review(api, new Inbox(api));
	review.standing = [standing];
	await review.revoke(standing);
	expect(review.standing).toEqual([standing]);
	expect(review.revokeFailure).toMatch(/not answering/);
	await review.revoke(standing);
	expect([review.standing, review.revokeFailure]).toEqual([[], '']);
	expect(calls[1]).toMatchObject({ method: 'DELETE', path: '/api/approvals/standing/x' });
});

function done(id: string): CallPart {
	const part = new CallPart({ tool_call_id: id, tool: 'a__b', server: 'a', arguments: {} });
	part.state = 'done';
	part.undoable = true;
	return part;
}

test('a call is undone by one click', async () => {
	const { api, calls } = scriptedApi(() =>
		json({ items: [{ tool_call_id: 'c', tool: 'a__b', status: 'undone' }] }),
	);
	const part = done('c');
	const undo = new Undo(api);
	await Promise.all([undo.call(part), undo.call(part)]);
	expect(part).toMatchObject({ isUndone: true, canUndo: false, isUndoing: false });
	expect(calls.map(({ path }) => path)).toEqual(['/api/chat/tool-calls/c/undo']);
});

test('an undo that failed says why and can be tried again', async () => {
	const { api } = scriptedApi(
		() =>
			json({
				items: [{ tool_call_id: 'c', tool: 'a__b', status: 'failed', error: 'It is gone.' }],
			}),
		() => Promise.reject(new TypeError('network')),
	);
	const part = done('c');
	const undo = new Undo(api);
	await undo.call(part);
	expect(part.undoFailure).toBe('a b was not undone. It is gone.');
	await undo.call(part);
	expect(part.undoFailure).toMatch(/not answering/);
	expect(part.canUndo).toBe(true);
});

test('a turn is undone as far as it goes, and the rest is named', async () => {
	const { api } = scriptedApi(() =>
		json({
			items: [
				{ tool_call_id: 'd', tool: 'a__b', status: 'failed', error: 'It is gone.' },
				{ tool_call_id: 'c', tool: 'effects__send_message', status: 'undone' },
			],
		}),
	);
	const turn = new ChatTurn('key', null);
	turn.id = 't';
	turn.apply(callStarted, 0);
	turn.apply(finished('done', { undoable: true }), 0);
	await new Undo(api).turn(turn);
	expect(turn.undoReport).toBe('1 of 2 changes undone.\na b was not undone. It is gone.');
	expect(turn.calls[0]?.isUndone).toBe(true);
});

test('moments read as people say them', () => {
	const minutes = (count: number) => formatRemaining(count * 60_000);
	expect([-1, 0, 0.2, 59, 90, 47 * 60, 72 * 60].map(minutes)).toEqual([
		'',
		'',
		'1 min',
		'59 min',
		'2 h',
		'47 h',
		'3 days',
	]);
	const now = new Date(2026, 10, 20, 18, 0);
	expect(formatMoment(new Date(2026, 10, 20, 9, 5).toISOString(), now)).toBe('09:05');
	expect(formatMoment(new Date(2026, 10, 19, 9, 5).toISOString(), now)).toBe('19 Nov, 09:05');
	expect(formatMoment('nonsense', now)).toBe('');
});
