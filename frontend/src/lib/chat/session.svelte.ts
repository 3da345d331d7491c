/** One open chat: its turns, what is sent, stopped, continued and followed. */

import type { Api } from '../api/api';
import { ApiError, isTransient } from '../api/client';
import { type FollowOptions, followTurn } from '../api/follow';
import type { Message, Turn } from '../api/types';
import { randomId } from '../browser/random';
import { Draft } from './draft.svelte';
import { readyFiles } from './later';
import type { SessionListener } from './listener';
import { foldMessages, mergeTurns, prependPage, refuse } from './stored';
import { ChatTurn } from './turn.svelte';

const PAGE_SIZE = 60;
const ASKS = /^(approval|question)_/;

export class ChatSession {
	readonly key = randomId();
	id = $state<string | null>(null);
	/** Called when a message comes to stand at the end. */
	onSent: () => void = () => {};
	/** Known once it was loaded; the list may show another page. */
	title = $state('');
	/** What is being written. */
	readonly draft: Draft;
	turns = $state.raw<ChatTurn[]>([]);
	isLoading = $state(false);
	loadError = $state.raw<Error | null>(null);
	olderCursor = $state<string | null>(null);
	isLoadingOlder = $state(false);
	readonly #api: Api;
	readonly #listener: SessionListener;
	readonly #closed = new AbortController();
	readonly #followed = new Set<ChatTurn>();
	#messages: Message[] = [];
	#rows: Turn[] = [];
	/** The branch as last loaded; another tab may have moved on. */
	#leafMessageId: string | null = null;

	constructor(
		api: Api,
		id: string | null,
		listener: SessionListener,
		draft: Draft = new Draft(api, id),
	) {
		this.#api = api;
		this.#listener = listener;
		this.id = id;
		this.draft = draft;
		draft.onReady = () => this.send();
	}

	get running(): ChatTurn | null {
		return this.turns.findLast((turn) => turn.isRunning) ?? null;
	}

	get #isFollowing(): boolean {
		return this.running !== null && this.#followed.has(this.running);
	}

	/** Leaves the chat. Turns and uploads go on without it; nothing is sent any more. */
	close(): void {
		this.#closed.abort();
		this.draft.isQueued = false;
	}

	/** Loads the newest page and follows a turn that is still running. */
	async load(): Promise<void> {
		if (this.id === null) return;
		this.isLoading = this.turns.length === 0;
		try {
			const page = await this.#api.messages(this.id, { limit: PAGE_SIZE, cursor: null });
			if (this.#closed.signal.aborted) return;
			this.#messages = page.items;
			this.#rows = page.turns;
			this.olderCursor = page.next_cursor;
			const loaded = foldMessages(page.items, page.turns);
			await readyFiles(loaded);
			this.turns = mergeTurns(this.turns, loaded, this.#followed);
			this.#leafMessageId = page.items.at(-1)?.id ?? null;
			this.loadError = null;
		} catch (error) {
			this.loadError = error instanceof Error ? error : new Error(String(error));
			return;
		} finally {
			this.isLoading = false;
		}
		const { running } = this;
		if (running?.id && !this.#followed.has(running))
			void this.#follow(running, { from: { turnId: running.id, seq: 0 } });
	}

	/** Puts the page before the oldest one on top. */
	async loadOlder(): Promise<void> {
		if (this.id === null || this.olderCursor === null || this.isLoadingOlder) return;
		this.isLoadingOlder = true;
		try {
			const cursor = this.olderCursor;
			const page = await this.#api.messages(this.id, { limit: PAGE_SIZE, cursor });
			this.#rows = [...page.turns, ...this.#rows];
			await readyFiles(foldMessages(page.items, page.turns));
			this.turns = prependPage(page.items, this.#messages, this.#rows, this.turns);
			this.#messages = [...page.items, ...this.#messages];
			this.olderCursor = page.next_cursor;
		} catch (error) {
			if (!isTransient(error)) this.olderCursor = null;
		} finally {
			this.isLoadingOlder = false;
		}
	}

	/** Sees what other tabs did: a turn that runs elsewhere is followed here as well. */
	async notice(): Promise<void> {
		if (this.id === null || this.isLoading || this.#isFollowing) return;
		try {
			const session = await this.#api.session(this.id);
			const { running_turn_id = null, leaf_message_id = null } = session;
			this.title = session.title;
			if (this.#isFollowing || this.#closed.signal.aborted) return;
			const last = this.turns.findLast((turn) => turn.id !== null);
			const isUnseenTurn = running_turn_id !== null && running_turn_id !== last?.id;
			const hasMoved = running_turn_id === null && leaf_message_id !== this.#leafMessageId;
			// A turn that runs unfollowed: the store could not be reached a moment ago.
			if (isUnseenTurn || hasMoved || this.running) await this.load();
		} catch (error) {
			if (error instanceof ApiError && error.status === 404) this.loadError = error;
		}
	}

	/** Shows the draft as a message at once and sends it, as soon as its files are uploaded. */
	send(): void {
		if (this.running || !this.draft.isSendable) return;
		this.draft.isQueued = this.draft.isUploading;
		if (this.draft.isQueued) return;
		const { text, files } = this.draft.take();
		const turn = new ChatTurn(randomId(), text, files);
		this.turns = [...this.turns, turn];
		this.onSent();
		void this.#start(turn);
	}

	/** Sends a message that did not arrive once more, under the same id. */
	resend(turn: ChatTurn): void {
		turn.state = 'sending';
		turn.error = null;
		void this.#start(turn);
	}

	/** Takes a message that was not sent back into the composer. */
	withdraw(turn: ChatTurn): void {
		if (turn.userText !== null) void this.draft.putBack(turn.userText, turn.userFiles);
		this.turns = this.turns.filter((shown) => shown !== turn);
	}

	/** Goes on after a turn that was stopped, interrupted or failed. */
	async continue(turn: ChatTurn): Promise<void> {
		const { id } = turn;
		if (id === null) return;
		const next = new ChatTurn(randomId(), null);
		this.turns = [...this.turns, next];
		const open = (signal: AbortSignal) => this.#api.continueTurn(id, signal);
		await this.#follow(next, { open, attempts: 1 });
		if (next.state !== 'unsent') return;
		this.withdraw(next);
		turn.error = next.error;
	}

	/** Stops the running turn on the orchestrator, including its running tool. */
	async stop(): Promise<void> {
		const { running } = this;
		if (!running?.id || running.isStopping) return;
		running.isStopping = true;
		try {
			await this.#api.cancelTurn(running.id);
		} catch {
			// The turn goes on and the button comes back, to be pressed again.
			running.isStopping = false;
		}
	}

	async #start(turn: ChatTurn): Promise<void> {
		const request = {
			message: turn.userText ?? '',
			session_id: this.id,
			client_message_id: turn.key,
			attachment_ids: turn.userFiles.map(({ id }) => id),
			parent_message_id: null,
		};
		await this.#follow(turn, { open: (signal) => this.#api.startTurn(request, signal) });
	}

	async #follow(turn: ChatTurn, options: Partial<FollowOptions>): Promise<void> {
		this.#followed.add(turn);
		try {
			await this.#fold(turn, options);
		} catch (error) {
			if (turn.id === null) refuse(turn, error);
			// Without any event a second attempt would fail alike.
			else if (turn.seq === 0) turn.state = 'interrupted';
		} finally {
			this.#followed.delete(turn);
		}
		if (this.#closed.signal.aborted || turn.state === 'unsent') return;
		// The log could not tell how the turn ended: the store can.
		if (turn.isRunning) await this.load();
		else this.#ended(turn);
		this.#listener.onChanged();
	}

	async #fold(turn: ChatTurn, options: Partial<FollowOptions>): Promise<void> {
		const onConnection = (isConnected: boolean) => {
			turn.isConnected = isConnected;
		};
		const { signal } = this.#closed;
		const events = followTurn({ api: this.#api, signal, onConnection, ...options });
		for await (const { seq, event } of events) {
			if (turn.seq === 0) turn.rewind();
			turn.seq = seq;
			turn.apply(event, Date.now());
			if (event.type === 'turn_started') this.#accepted(event.session_id, turn);
			if (ASKS.test(event.type)) this.#listener.onAsked(turn);
		}
	}

	#accepted(sessionId: string, turn: ChatTurn): void {
		this.draft.accepted(sessionId, turn.userText ?? '', turn.userFiles);
		const isNew = this.id === null;
		this.id = sessionId;
		if (isNew) this.#listener.onCreated(sessionId);
		this.#listener.onTurnStarted();
		this.#listener.onChanged();
	}

	#ended(turn: ChatTurn): void {
		this.#listener.onTurnEnded(turn);
		void this.#rememberLeaf();
	}

	async #rememberLeaf(): Promise<void> {
		if (this.id === null) return;
		try {
			this.#leafMessageId = (await this.#api.session(this.id)).leaf_message_id ?? null;
		} catch {
			// The next look at the session loads it anew, which is right as well.
		}
	}
}
