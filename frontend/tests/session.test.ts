// @vitest-environment happy-dom
import { beforeEach, expect, test, vi } from 'vitest';
import { FileRoutes } from '../src/lib/api/files';
import type { ChatEvent, Message, MessagePage, Turn } from '../src/lib/api/types';
import { Drafts } from '../src/lib/chat/draft.svelte';
import { lineEntries } from '../src/lib/chat/line';
import { ChatSession } from '../src/lib/chat/session.svelte';
import { foldMessages } from '../src/lib/chat/stored';
import { eventStream, json, scriptedApi } from './streams';

const AT = '2026-11-20T10:00:00Z';

function message(id: string, role: Message['role'], more: Partial<Message> = {}): Message {
	const ids = { id, session_id: 's', parent_id: null, turn_id: 't' };
	return { ...ids, role, content: '', created_at: AT, ...more };
}

function turnRow(id: string, state: Turn['state'], more: Partial<Turn> = {}): Turn {
	const ids = { id, session_id: 's', user_message_id: `u-${id}`, assistant_message_id: `a-${id}` };
	return { ...ids, state, model: 'm', created_at: AT, ...more };
}

function call(id: string, state?: 'planned' | 'started' | 'done') {
	const named = { tool_call_id: id, tool: 'gmail__search', server: 'gmail', arguments: {} };
	return { ...named, read_only: true, ...(state ? { state } : {}) };
}

function toolMessage(id: string, state: 'planned' | 'started' | 'done'): Message {
	return message(`m-${id}`, 'tool', {
		tool_call: { ...call(id), state, text: 'ok', duration_ms: 5, started_at: AT },
	});
}

const events: ChatEvent[] = [
	{
		type: 'turn_started',
		turn_id: 't',
		session_id: 's',
		user_message_id: 'u-t',
		assistant_message_id: 'a-t',
		model: 'm',
	},
	{ type: 'text_delta', text: 'Hello' },
	{ type: 'turn_finished', finish_reason: 'stop', cost_microusd: 0, duration_ms: 1 },
];
const numbered = events.map((event, index): [number, ChatEvent] => [index + 1, event]);
const page = (items: Message[], turns: Turn[], next_cursor: string | null = null): MessagePage => ({
	items,
	turns,
	next_cursor,
});

const listener = {
	onCreated: vi.fn(),
	onChanged: vi.fn(),
	onTurnStarted: vi.fn(),
	onTurnEnded: vi.fn(),
	onAsked: vi.fn(),
};

beforeEach(() => {
	localStorage.clear();
	for (const heard of Object.values(listener)) heard.mockClear();
});

const storedSession = () => json({ id: 's', title: 'T', leaf_message_id: 'a-t' });

test('a message is on the page before it is sent, and its draft goes when it arrived', async () => {
	const { api } = scriptedApi(() => eventStream(numbered), storedSession);
	const session = new ChatSession(api, null, listener);
	session.draft.write(' Hi ');
	session.send();
	expect(session.turns[0]).toMatchObject({ userText: 'Hi', state: 'sending' });
	expect([session.draft.text, localStorage.getItem('flotilla.draft.new')]).toEqual(['', 'Hi']);
	await vi.waitFor(() => expect(listener.onTurnEnded).toHaveBeenCalledOnce());
	expect(session.turns[0]).toMatchObject({ state: 'finished', answer: 'Hello' });
	expect(listener.onCreated).toHaveBeenCalledExactlyOnceWith('s');
	expect(localStorage.length).toBe(0);
	session.close();
});

test('a refused message can be sent again under the same id, or taken back', async () => {
	const refuse = () => json({ code: 'turn_running', detail: 'Another answer is running.' }, 409);
	const { api, calls } = scriptedApi(refuse, refuse);
	const session = new ChatSession(api, 's', listener);
	session.draft.write('Hi');
	session.send();
	const [turn] = session.turns;
	if (!turn) return expect.unreachable();
	await vi.waitFor(() => expect(turn.state).toBe('unsent'));
	expect(turn.error).toMatchObject({ code: 'turn_running', retryable: false });
	session.resend(turn);
	await vi.waitFor(() => expect(turn.state).toBe('unsent'));
	const ids = calls.map(({ body }) => (body as { client_message_id: string }).client_message_id);
	expect(new Set(ids).size).toBe(1);
	session.withdraw(turn);
	expect([session.turns, session.draft.text]).toEqual([[], 'Hi']);
});

test('a running turn is folded from its log and not from the store', async () => {
	const half = page(
		[message('u-t', 'user', { content: 'Hi' }), message('a-t', 'assistant', { content: 'He' })],
		[turnRow('t', 'running')],
	);
	const { api, calls } = scriptedApi(
		() => json(half),
		() => eventStream(numbered),
		storedSession,
	);
	const session = new ChatSession(api, 's', listener);
	await session.load();
	await vi.waitFor(() => expect(session.turns[0]?.state).toBe('finished'));
	expect(session.turns[0]).toMatchObject({ userText: 'Hi', answer: 'Hello' });
	expect(calls[1]?.path).toBe('/api/chat/turns/t/events?after=0');
});

test('a turn that another tab began is noticed and followed', async () => {
	const { api } = scriptedApi(
		() => json(page([], [])),
		() => json({ id: 's', title: 'T', running_turn_id: 't', leaf_message_id: 'u-t' }),
		() => json(page([message('u-t', 'user', { content: 'Hi' })], [turnRow('t', 'running')])),
		() => eventStream(numbered),
		storedSession,
	);
	const session = new ChatSession(api, 's', listener);
	await session.load();
	await session.notice();
	await vi.waitFor(() => expect(session.turns[0]?.answer).toBe('Hello'));
});

test('loading anew keeps turns that are on the page already', async () => {
	const stored = () =>
		json(page([message('u-t', 'user', { content: 'Hi' })], [turnRow('t', 'finished')]));
	const { api } = scriptedApi(stored, stored);
	const session = new ChatSession(api, 's', listener);
	await session.load();
	const [before] = session.turns;
	await session.load();
	expect(session.turns[0]).toBe(before);
});

test('a turn that two pages share becomes one when both are there', async () => {
	const newest = page(
		[message('m2', 'assistant', { content: 'second' })],
		[turnRow('t', 'finished')],
		'older',
	);
	const older = page(
		[message('u-t', 'user', { content: 'Hi' }), message('m1', 'assistant', { content: 'first' })],
		[turnRow('t', 'finished')],
	);
	const { api } = scriptedApi(
		() => json(newest),
		() => json(older),
	);
	const session = new ChatSession(api, 's', listener);
	await session.load();
	await session.loadOlder();
	expect(session.turns).toHaveLength(1);
	expect(session.turns[0]).toMatchObject({ userText: 'Hi', answer: 'first\n\nsecond' });
	expect(session.olderCursor).toBeNull();
});

test('a continuation that is refused leaves the turn with its reason', async () => {
	const { api } = scriptedApi(
		() => json(page([message('u-t', 'user')], [turnRow('t', 'interrupted')])),
		() => json({ code: 'turn_running', detail: 'Busy.' }, 409),
	);
	const session = new ChatSession(api, 's', listener);
	await session.load();
	const [turn] = session.turns;
	if (!turn) return expect.unreachable();
	await session.continue(turn);
	expect(session.turns).toEqual([turn]);
	expect(turn.error?.message).toBe('Busy.');
});

test('stored rounds become one line with their calls in order', () => {
	const [turn] = foldMessages(
		[
			message('u-t', 'user', { content: 'Hi' }),
			message('a1', 'assistant', {
				reasoning: 'hm',
				reasoning_ms: 3100,
				tool_calls: [call('c1'), call('c2'), call('c3')],
			}),
			toolMessage('c1', 'done'),
			toolMessage('c2', 'started'),
			message('a2', 'assistant', {
				content: 'Done.',
				sources: [{ url: 'https://example.org' }, { broken: true }],
			}),
		],
		[turnRow('t', 'interrupted', { finished_at: '2026-11-20T10:00:04Z', cost_microusd: 5 })],
	);
	expect(turn?.parts.map((part) => [part.kind, 'state' in part ? part.state : null])).toEqual([
		['reasoning', null],
		['call', 'done'],
		['call', 'unknown'],
		['call', 'cancelled'],
		['text', null],
	]);
	expect(turn).toMatchObject({ state: 'interrupted', durationMs: 4000, costMicrousd: 5 });
	expect(turn?.sources).toEqual([{ url: 'https://example.org', title: 'https://example.org' }]);
});

const FILE = { id: 'att_1', name: 'a.png', mime: 'image/png', size_bytes: 9 };

test('stored files stand where live ones do, and keep their call in sight', () => {
	const withFile = (id: string, attachments = [FILE]) => {
		const stored = toolMessage(id, 'done');
		return { ...stored, tool_call: { ...stored.tool_call, attachments } } as Message;
	};
	const [turn] = foldMessages(
		[
			message('u-t', 'user', { content: '', attachments: [FILE] }),
			message('a1', 'assistant', { tool_calls: ['c1', 'c2', 'c3'].map((id) => call(id)) }),
			...['c1', 'c2', 'c3'].map((id) => withFile(id)),
			message('a2', 'assistant', { content: 'Look.', attachments: [FILE] }),
		],
		[turnRow('t', 'finished')],
	);
	expect(turn).toMatchObject({ userText: '', userFiles: [FILE] });
	expect(turn?.files).toHaveLength(5);
	const kinds = lineEntries(turn?.parts ?? [], true).map(({ kind }) => kind);
	expect(kinds).toEqual(['call', 'call', 'call', 'text', 'files']);
});

/** A chat whose uploads end when the test says so. */
function uploading(answers: Parameters<typeof scriptedApi>) {
	const { api, calls } = scriptedApi(...answers);
	const settles: { resolve: (file: typeof FILE) => void; reject: (error: Error) => void }[] = [];
	vi.spyOn(FileRoutes.prototype, 'upload').mockImplementation(
		() => new Promise((resolve, reject) => settles.push({ resolve, reject })),
	);
	return { session: new ChatSession(api, null, listener), calls, settles };
}

const PICTURE = [new File(['x'], 'a.png', { type: 'image/png' })];

test('a message waits for its files, and goes without a text', async () => {
	const answers = [() => eventStream(numbered), storedSession];
	const { session, calls, settles } = uploading(answers);
	await session.draft.attach(PICTURE);
	session.send();
	expect([session.draft.isQueued, session.turns.length]).toEqual([true, 0]);
	settles[0]?.resolve(FILE);
	await vi.waitFor(() => expect(listener.onTurnEnded).toHaveBeenCalledOnce());
	expect(session.turns[0]).toMatchObject({ userText: '', userFiles: [FILE] });
	expect(calls[0]?.body).toMatchObject({ message: '', attachment_ids: ['att_1'] });
	expect([session.draft.tray?.files, localStorage.length]).toEqual([[], 0]);
	session.close();
});

test('a file that failed holds the message back until it is taken away', async () => {
	const { session, settles } = uploading([() => eventStream(numbered), storedSession]);
	session.draft.write('Look');
	await session.draft.attach(PICTURE);
	session.send();
	settles[0]?.reject(new Error('broken'));
	await vi.waitFor(() => expect(session.draft.isQueued).toBe(false));
	session.send();
	expect([session.draft.isSendable, session.turns.length]).toEqual([false, 0]);
	const [failed] = session.draft.tray?.files ?? [];
	if (failed) session.draft.tray?.remove(failed);
	session.send();
	expect(session.turns[0]).toMatchObject({ userText: 'Look', userFiles: [] });
	session.close();
});

test('a refused message comes back with its files', async () => {
	const refuse = () => json({ code: 'turn_running', detail: 'Another answer is running.' }, 409);
	const { session, settles } = uploading([refuse]);
	await session.draft.attach(PICTURE);
	settles[0]?.resolve(FILE);
	await vi.waitFor(() => expect(session.draft.isUploading).toBe(false));
	session.send();
	const [turn] = session.turns;
	if (!turn) return expect.unreachable();
	await vi.waitFor(() => expect(turn.state).toBe('unsent'));
	session.withdraw(turn);
	await vi.waitFor(() => expect(session.draft.tray?.kept).toEqual([FILE]));
	expect(JSON.parse(localStorage.getItem('flotilla.draft-files.new') ?? '')).toEqual([FILE]);
});

test('a file goes on uploading while another chat is open', async () => {
	const { api } = scriptedApi();
	const { settles } = uploading([]);
	const drafts = new Drafts(api);
	const draft = drafts.of('s');
	await draft.attach(PICTURE);
	expect([drafts.of('other') === draft, drafts.of('s') === draft]).toEqual([false, true]);
	settles[0]?.resolve(FILE);
	await vi.waitFor(() => expect(draft.isUploading).toBe(false));
	expect(drafts.of('s')).not.toBe(draft);
	expect(localStorage.getItem('flotilla.draft-files.s')).toContain('att_1');
});

test('long runs of finished calls are folded, but never while one watches', () => {
	const calls = ['c1', 'c2', 'c3'];
	const [turn] = foldMessages(
		[
			message('a1', 'assistant', { tool_calls: calls.map((id) => call(id)) }),
			...calls.map((id) => toolMessage(id, 'done')),
			message('a2', 'assistant', { content: 'Done.' }),
		],
		[turnRow('t', 'finished')],
	);
	const kinds = (isHistory: boolean) =>
		lineEntries(turn?.parts ?? [], isHistory).map(({ kind }) => kind);
	expect(kinds(true)).toEqual(['fold', 'text']);
	expect(kinds(false)).toEqual(['call', 'call', 'call', 'text']);
});
