/** Requests to the orchestrator: one door for JSON and streams, and one tree of errors. */

import { parseExactly } from './exact';

export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

/** The orchestrator refused, with a problem document (RFC 9457). */
export class ApiError extends Error {
	override readonly name = 'ApiError';
	readonly status: number;
	readonly code: string;

	constructor(status: number, code: string, message: string) {
		super(message);
		this.status = status;
		this.code = code;
	}
}

/** No answer arrived: the orchestrator is away or the connection broke. */
export class ConnectionError extends Error {
	override readonly name = 'ConnectionError';
}

/** True when the same request may succeed later without a change. */
export function isTransient(error: unknown): boolean {
	if (error instanceof ConnectionError) return true;
	return error instanceof ApiError && (error.status >= 500 || error.status === 429);
}

export interface RequestOptions {
	query?: Record<string, string | number | null>;
	body?: unknown;
	signal?: AbortSignal;
}

export class Client {
	/** Called whenever the orchestrator no longer knows who is asking. */
	onSignedOut: () => void = () => {};
	readonly #fetch: Fetch;

	constructor(fetchImplementation: Fetch = (input, init) => fetch(input, init)) {
		this.#fetch = fetchImplementation;
	}

	/** The JSON answer; null where the orchestrator answers without a body. `isExact` as `parseExactly`. */
	async json<T>(
		method: string,
		path: string,
		options: RequestOptions = {},
		isExact = false,
	): Promise<T> {
		const response = await this.#send(method, path, 'application/json', options);
		if (response.status === 204) return null as T;
		try {
			return (isExact ? parseExactly(await response.text()) : await response.json()) as T;
		} catch (error) {
			throw connectionOrAbort(error);
		}
	}

	/** What a file of text holds. */
	async text(path: string): Promise<string> {
		const response = await this.#send('GET', path, '*/*', {});
		try {
			return await response.text();
		} catch (error) {
			throw connectionOrAbort(error);
		}
	}

	/** The same refusal, to be thrown, after everybody was told whom it concerns. */
	refused(refusal: ApiError): ApiError {
		if (refusal.status === 401) this.onSignedOut();
		return refusal;
	}

	/** The body of an event stream. */
	async stream(
		method: string,
		path: string,
		options: RequestOptions = {},
	): Promise<ReadableStream<Uint8Array>> {
		const response = await this.#send(method, path, 'text/event-stream', options);
		if (!response.body) throw new ConnectionError('The answer had no body.');
		return response.body;
	}

	async #send(
		method: string,
		path: string,
		accept: string,
		{ query, body, signal }: RequestOptions,
	): Promise<Response> {
		const init: RequestInit = {
			method,
			credentials: 'same-origin',
			cache: 'no-store',
			headers: {
				accept,
				...(body === undefined ? {} : { 'content-type': 'application/json' }),
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
			...(signal ? { signal } : {}),
		};
		let response: Response;
		try {
			response = await this.#fetch(path + queryString(query), init);
		} catch (error) {
			throw connectionOrAbort(error);
		}
		if (response.ok) return response;
		throw this.refused(await readProblem(response));
	}
}

function queryString(query: RequestOptions['query']): string {
	const parameters = new URLSearchParams();
	for (const [name, value] of Object.entries(query ?? {})) {
		if (value !== null && value !== '') parameters.set(name, String(value));
	}
	return parameters.size ? `?${parameters}` : '';
}

/** An abort is ours and stays an abort; anything else means the connection failed. */
function connectionOrAbort(error: unknown): Error {
	if (error instanceof DOMException && error.name === 'AbortError') return error;
	return new ConnectionError(error instanceof Error ? error.message : String(error));
}

async function readProblem(response: Response): Promise<ApiError> {
	let problem: unknown = null;
	try {
		problem = await response.json();
	} catch {
		// A proxy in between may answer with a page: the status line has to do.
	}
	return refusalOf(response.status, problem, response.statusText);
}

/** What a problem document says; the status where there is none. */
export function refusalOf(status: number, problem: unknown, statusText = ''): ApiError {
	const { code, detail, title } = (problem ?? {}) as Record<string, unknown>;
	const message = [detail, title].find((text) => typeof text === 'string' && text !== '');
	return new ApiError(
		status,
		typeof code === 'string' ? code : `http_${status}`,
		(message as string | undefined) ?? `HTTP ${status} ${statusText}`.trim(),
	);
}
