/** Following a turn to its end: reconnects with back-off, without a gap and without a duplicate. */

import type { Api } from './api';
import { isTransient } from './client';
import { isTerminal, type SequencedEvent, streamEvents } from './events';

type Bytes = ReadableStream<Uint8Array>;

/** The orchestrator sends a heartbeat every 15 s: silence this long means a dead connection. */
const SILENCE_LIMIT_MS = 40_000;
/** Streams in a row that ended properly and told nothing new. */
const EMPTY_STREAM_LIMIT = 3;
const BACKOFF_MS = [300, 1_000, 2_000, 4_000, 8_000];

export interface FollowOptions {
	api: Api;
	signal: AbortSignal;
	/** The turn and the last sequence number already seen; absent when `open` starts the turn. */
	from?: { turnId: string; seq: number };
	/** Opens the first stream when the turn is not resumed but started. */
	open?: (signal: AbortSignal) => Promise<Bytes>;
	/** How many connections in a row may fail before the turn is known to exist. */
	attempts?: number;
	/** Told when the connection is lost and when it is back. */
	onConnection?: (isConnected: boolean) => void;
	wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How far following has come. */
interface Position {
	turnId: string | null;
	seq: number;
	failures: number;
	emptyStreams: number;
	isOver: boolean;
}

/**
 * Every event of the turn above `from.seq`, once and in order, ending with the terminal one.
 * Ends without it when aborted, or when the log has ended and only the store knows the outcome.
 */
export async function* followTurn(options: FollowOptions): AsyncGenerator<SequencedEvent> {
	const { from, signal, onConnection = () => {}, wait = pause } = options;
	const position: Position = {
		turnId: from?.turnId ?? null,
		seq: from?.seq ?? -1,
		failures: 0,
		emptyStreams: 0,
		isOver: false,
	};
	while (!position.isOver && position.emptyStreams < EMPTY_STREAM_LIMIT) {
		yield* oneStream(options, position);
		if (position.isOver || signal.aborted) return;
		onConnection(false);
		await wait(BACKOFF_MS[Math.min(position.failures, BACKOFF_MS.length - 1)] ?? 0, signal);
		position.failures += 1;
	}
}

/** The new events of one connection. Returns when it is worth connecting again. */
async function* oneStream(
	options: FollowOptions,
	position: Position,
): AsyncGenerator<SequencedEvent> {
	const { signal, onConnection = () => {} } = options;
	const attempt = watchedAttempt(signal);
	try {
		const body = await openStream(options, position, attempt.signal);
		onConnection(true);
		position.emptyStreams += 1;
		for await (const sequenced of streamEvents(body, attempt.touch)) {
			if (sequenced.seq <= position.seq) continue;
			const { turnId, seq } = sequenced;
			const isOver = isTerminal(sequenced.event);
			Object.assign(position, { turnId, seq, isOver, failures: 0, emptyStreams: 0 });
			yield sequenced;
			if (isOver) return;
		}
	} catch (error) {
		const isOurs = signal.aborted || attempt.signal.aborted;
		if (!isOurs && !isWorthRetrying(error, options, position)) throw error;
	} finally {
		attempt.close();
	}
}

/** A turn that is known to exist is followed for as long as it takes. */
function isWorthRetrying(error: unknown, options: FollowOptions, position: Position): boolean {
	if (!isTransient(error)) return false;
	return position.turnId !== null || position.failures + 1 < (options.attempts ?? 4);
}

function openStream(
	{ api, open }: FollowOptions,
	{ turnId, seq }: Position,
	signal: AbortSignal,
): Promise<Bytes> {
	if (turnId !== null) return api.resumeTurn(turnId, Math.max(seq, 0), signal);
	if (!open) throw new TypeError('followTurn needs `from` or `open`');
	return open(signal);
}

/** A signal that also fires when nothing arrived for too long. */
function watchedAttempt(outer: AbortSignal) {
	const controller = new AbortController();
	const abort = () => controller.abort();
	let timer = setTimeout(abort, SILENCE_LIMIT_MS);
	if (outer.aborted) abort();
	outer.addEventListener('abort', abort);
	return {
		signal: controller.signal,
		touch() {
			clearTimeout(timer);
			timer = setTimeout(abort, SILENCE_LIMIT_MS);
		},
		close() {
			clearTimeout(timer);
			outer.removeEventListener('abort', abort);
		},
	};
}

/** Waits, but not longer than until the network or the reader is back. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const jittered = ms * (0.75 + Math.random() / 2);
		const timer = setTimeout(done, jittered);
		const wakers: [EventTarget, string][] = [
			[signal, 'abort'],
			[window, 'online'],
			[document, 'visibilitychange'],
		];
		for (const [target, type] of wakers) target.addEventListener(type, done);
		function done() {
			clearTimeout(timer);
			for (const [target, type] of wakers) target.removeEventListener(type, done);
			resolve();
		}
	});
}
