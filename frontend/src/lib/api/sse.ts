/** Server-sent events out of a byte stream (WHATWG HTML, section 9.2), read with fetch. */

export interface ServerSentEvent {
	id: string;
	event: string;
	data: string;
}

/** Cuts decoded text into events; text may arrive cut anywhere, even inside a line break. */
export class EventSplitter {
	#rest = '';
	#id = '';
	#event = '';
	#data: string[] = [];

	push(text: string): ServerSentEvent[] {
		this.#rest += text;
		const events: ServerSentEvent[] = [];
		for (let line = this.#takeLine(); line !== null; line = this.#takeLine()) {
			const event = this.#line(line);
			if (event) events.push(event);
		}
		return events;
	}

	#takeLine(): string | null {
		const match = /\r\n|\n|\r/.exec(this.#rest);
		if (!match) return null;
		const isCutBreak = match[0] === '\r' && match.index === this.#rest.length - 1;
		if (isCutBreak) return null;
		const line = this.#rest.slice(0, match.index);
		this.#rest = this.#rest.slice(match.index + match[0].length);
		return line;
	}

	#line(line: string): ServerSentEvent | null {
		if (line === '') return this.#dispatch();
		const colon = line.indexOf(':');
		if (colon === 0) return null;
		const field = colon === -1 ? line : line.slice(0, colon);
		const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
		if (field === 'data') this.#data.push(value);
		else if (field === 'event') this.#event = value;
		else if (field === 'id' && !value.includes('\0')) this.#id = value;
		return null;
	}

	#dispatch(): ServerSentEvent | null {
		const event = {
			id: this.#id,
			event: this.#event || 'message',
			data: this.#data.join('\n'),
		};
		const isEmpty = this.#data.length === 0;
		this.#event = '';
		this.#data = [];
		return isEmpty ? null : event;
	}
}

/** Every event of the body. `onBytes` hears of each arrival, heartbeats included. */
export async function* readEvents(
	body: ReadableStream<Uint8Array>,
	onBytes: () => void = () => {},
): AsyncGenerator<ServerSentEvent> {
	const reader = body.getReader();
	const decoder = new TextDecoder();
	const splitter = new EventSplitter();
	try {
		while (true) {
			const { done, value } = await reader.read();
			if (done) return;
			onBytes();
			yield* splitter.push(decoder.decode(value, { stream: true }));
		}
	} finally {
		// A consumer that leaves early closes the connection; an errored stream is closed already.
		await reader.cancel().catch(() => {});
	}
}
