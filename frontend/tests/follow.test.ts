import { expect, test } from 'vitest';
import { ApiError } from '../src/lib/api/client';
import { type FollowOptions, followTurn } from '../src/lib/api/follow';
import type { ChatEvent } from '../src/lib/api/types';
import { collect, eventStream, json, scriptedApi } from './streams';

const started: ChatEvent = {
	type: 'turn_started',
	turn_id: 't',
	session_id: 's',
	user_message_id: 'u',
	assistant_message_id: 'a',
	model: 'm',
};
const text = (words: string): ChatEvent => ({ type: 'text_delta', text: words });
const finished: ChatEvent = {
	type: 'turn_finished',
	finish_reason: 'stop',
	cost_microusd: 0,
	duration_ms: 1,
};

function following(answers: Parameters<typeof scriptedApi>, options: Partial<FollowOptions> = {}) {
	const { api, calls } = scriptedApi(...answers);
	const controller = new AbortController();
	const request = {
		message: 'hi',
		session_id: null,
		client_message_id: 'c',
		attachment_ids: [],
		parent_message_id: null,
	};
	const events = followTurn({
		api,
		signal: controller.signal,
		open: (signal) => api.startTurn(request, signal),
		wait: async () => {},
		...options,
	});
	return { events, calls, controller };
}

const seqs = (events: { seq: number }[]) => events.map(({ seq }) => seq);

test('a broken connection is resumed without a gap and without a duplicate', async () => {
	const { events, calls } = following([
		() =>
			eventStream(
				[
					[1, started],
					[2, text('a')],
				],
				true,
			),
		() =>
			eventStream(
				[
					[2, text('a')],
					[3, text('b')],
				],
				true,
			),
		() =>
			eventStream([
				[4, text('c')],
				[5, finished],
			]),
	]);
	expect(seqs(await collect(events))).toEqual([1, 2, 3, 4, 5]);
	expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
		'POST /api/chat/stream',
		'GET /api/chat/turns/t/events?after=2',
		'GET /api/chat/turns/t/events?after=3',
	]);
});

test('a lost answer to the first request is asked for again under the same id', async () => {
	const { events, calls } = following([
		() => Promise.reject(new TypeError('Failed to fetch')),
		() =>
			eventStream([
				[1, started],
				[2, finished],
			]),
	]);
	expect(seqs(await collect(events))).toEqual([1, 2]);
	expect(
		calls.map(({ body }) => (body as { client_message_id: string }).client_message_id),
	).toEqual(['c', 'c']);
});

test('a message nobody takes fails after a few attempts', async () => {
	const refused = () => json({ code: 'restarting' }, 503);
	const { events, calls } = following([refused, refused, refused, refused]);
	await expect(collect(events)).rejects.toBeInstanceOf(ApiError);
	expect(calls).toHaveLength(4);
});

test('a refusal is not repeated', async () => {
	const { events, calls } = following([() => json({ code: 'turn_running' }, 409)]);
	await expect(collect(events)).rejects.toMatchObject({ code: 'turn_running' });
	expect(calls).toHaveLength(1);
});

test('a turn that exists is followed through any number of failures', async () => {
	const away = () => Promise.reject(new TypeError('Failed to fetch'));
	const connections: boolean[] = [];
	const { events } = following(
		[away, away, away, away, away, away, away, () => eventStream([[9, finished]])],
		{ from: { turnId: 't', seq: 8 }, onConnection: (isConnected) => connections.push(isConnected) },
	);
	expect(seqs(await collect(events))).toEqual([9]);
	expect(connections).toEqual([...Array(7).fill(false), true]);
});

test('a log that ended without telling how is left to the store', async () => {
	const empty = () => eventStream([]);
	const { events, calls } = following([empty, empty, empty], { from: { turnId: 't', seq: 4 } });
	expect(await collect(events)).toEqual([]);
	expect(calls).toHaveLength(3);
});

test('whoever stops following ends without an error', async () => {
	const { events, controller } = following([
		() =>
			eventStream(
				[
					[1, started],
					[2, text('a')],
				],
				true,
			),
	]);
	const seen: number[] = [];
	for await (const { seq } of events) {
		seen.push(seq);
		if (seq === 2) controller.abort();
	}
	expect(seen).toEqual([1, 2]);
});
