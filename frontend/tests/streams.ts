/** Streams and an orchestrator made of a script, for tests of the client. */

import { Api } from '../src/lib/api/api';
import { Client } from '../src/lib/api/client';
import type { ChatEvent } from '../src/lib/api/types';

export function bytes(pieces: Uint8Array[]): ReadableStream<Uint8Array> {
	return new ReadableStream({
		start(controller) {
			for (const piece of pieces) controller.enqueue(piece);
			controller.close();
		},
	});
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
	const collected: T[] = [];
	for await (const item of items) collected.push(item);
	return collected;
}

/** An event stream of turn `t`; `breaks` makes the connection fail after the last event. */
export function eventStream(events: [number, ChatEvent][], breaks = false): Response {
	const encoder = new TextEncoder();
	const pieces = events.map(([seq, event]) =>
		encoder.encode(`id: t:${seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
	);
	const body = new ReadableStream<Uint8Array>({
		pull(controller) {
			const piece = pieces.shift();
			if (piece) controller.enqueue(piece);
			else if (breaks) controller.error(new TypeError('network error'));
			else controller.close();
		},
	});
	return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

export function json(value: unknown, status = 200): Response {
	return new Response(JSON.stringify(value), { status });
}

export interface Call {
	method: string;
	path: string;
	body: unknown;
}

type Answer = (call: Call) => Response | Promise<Response>;

/** Answers the calls one after the other, and remembers them. */
export function scriptedApi(...answers: Answer[]): { api: Api; calls: Call[] } {
	const calls: Call[] = [];
	const client = new Client(async (path, { method = 'GET', body }) => {
		const call = { method, path, body: body ? JSON.parse(String(body)) : null };
		calls.push(call);
		const answer = answers.shift();
		if (!answer) throw new TypeError(`nobody answers ${method} ${path}`);
		return answer(call);
	});
	return { api: new Api(client), calls };
}
