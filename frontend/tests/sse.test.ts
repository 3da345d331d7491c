import { expect, test } from 'vitest';
import { parseEvent } from '../src/lib/api/events';
import { EventSplitter, readEvents } from '../src/lib/api/sse';
import { bytes, collect } from './streams';

const WIRE =
	': hello\n\nid: t1:1\nevent: turn_started\ndata: {"a":1}\n\n' +
	'id: t1:2\r\nevent: text_delta\r\ndata: {"text":\r\ndata: "ü 🚢"}\r\n\r\n: heartbeat\n\n' +
	'event: only_a_name\n\ndata\n\n';

const EVENTS = [
	{ id: 't1:1', event: 'turn_started', data: '{"a":1}' },
	{ id: 't1:2', event: 'text_delta', data: '{"text":\n"ü 🚢"}' },
	{ id: 't1:2', event: 'message', data: '' },
];

test('events are the same however the text is cut', () => {
	for (let size = 1; size <= WIRE.length; size += 1) {
		const splitter = new EventSplitter();
		const events = [];
		for (let start = 0; start < WIRE.length; start += size) {
			events.push(...splitter.push(WIRE.slice(start, start + size)));
		}
		expect(events).toEqual(EVENTS);
	}
});

test('a character cut between two reads is put together', async () => {
	const whole = new TextEncoder().encode(WIRE);
	const pieces = Array.from(whole, (byte) => Uint8Array.of(byte));
	expect(await collect(readEvents(bytes(pieces)))).toEqual(EVENTS);
});

test('heartbeats are heard although they are no events', async () => {
	let heard = 0;
	const body = bytes([new TextEncoder().encode(': beat\n\n'), new TextEncoder().encode(': b\n\n')]);
	await collect(
		readEvents(body, () => {
			heard += 1;
		}),
	);
	expect(heard).toBe(2);
});

test('an event names its turn and its place, also when the turn id has a colon', () => {
	expect(parseEvent({ id: 'a:b:12', event: 'text_delta', data: '{"text":"x"}' })).toEqual({
		turnId: 'a:b',
		seq: 12,
		event: { type: 'text_delta', text: 'x' },
	});
});

test.each([
	{ id: 't:1', event: 'from_the_future', data: '{}' },
	{ id: 't:1', event: 'toString', data: '{}' },
	{ id: '', event: 'text_delta', data: '{}' },
	{ id: 't:x', event: 'text_delta', data: '{}' },
])('$event with id "$id" is passed over', (raw) => {
	expect(parseEvent(raw)).toBeNull();
});
