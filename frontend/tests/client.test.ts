import { expect, test } from 'vitest';
import { ApiError, Client, ConnectionError, isTransient } from '../src/lib/api/client';

function answering(response: Response | Error): Client {
	return new Client(async () => {
		if (response instanceof Error) throw response;
		return response;
	});
}

async function failureOf(client: Client): Promise<unknown> {
	return client.json('GET', '/x').then(
		() => expect.unreachable(),
		(error) => error,
	);
}

test('a problem document becomes its code and its sentence', async () => {
	const problem = { title: 'Conflict', detail: 'This chat is answering.', code: 'turn_running' };
	const error = await failureOf(answering(new Response(JSON.stringify(problem), { status: 409 })));
	expect(error).toBeInstanceOf(ApiError);
	expect(error).toMatchObject({
		status: 409,
		code: 'turn_running',
		message: 'This chat is answering.',
	});
	expect(isTransient(error)).toBe(false);
});

test('a page of a proxy becomes its status', async () => {
	const error = await failureOf(answering(new Response('<html>', { status: 502 })));
	expect(error).toMatchObject({ status: 502, code: 'http_502' });
	expect(isTransient(error)).toBe(true);
});

test('no answer is a connection error that may pass', async () => {
	const error = await failureOf(answering(new TypeError('Failed to fetch')));
	expect(error).toBeInstanceOf(ConnectionError);
	expect(isTransient(error)).toBe(true);
});

test('an abort stays an abort', async () => {
	const error = await failureOf(answering(new DOMException('stop', 'AbortError')));
	expect(error).toMatchObject({ name: 'AbortError' });
});

test('an answer that is cut is a connection error', async () => {
	expect(await failureOf(answering(new Response('{"a":')))).toBeInstanceOf(ConnectionError);
});

test('whoever is signed out is told once per refusal', async () => {
	const client = answering(new Response('{}', { status: 401 }));
	let told = 0;
	client.onSignedOut = () => {
		told += 1;
	};
	await failureOf(client);
	expect(told).toBe(1);
});

test('empty and null parameters are left out of the address', async () => {
	const paths: string[] = [];
	const client = new Client(async (path) => {
		paths.push(path);
		return new Response('{}');
	});
	await client.json('GET', '/x', { query: { q: '', cursor: null, limit: 5, name: 'a b&c' } });
	await client.json('GET', '/x');
	expect(paths).toEqual(['/x?limit=5&name=a+b%26c', '/x']);
});

test('an answer without a body is null', async () => {
	expect(await answering(new Response(null, { status: 204 })).json('DELETE', '/x')).toBeNull();
});
