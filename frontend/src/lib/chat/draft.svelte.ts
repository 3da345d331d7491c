/** The message that is being written in one chat: its text and its files. */

import type { Api } from '../api/api';
import type { FileRef, KeptFile } from '../api/files';
import { readStored, store } from '../browser/storage';
import type { Tray } from '../files/tray.svelte';
import { keepDraft, readDraft } from './drafts';
import { filed } from './later';

export class Draft {
	/** Null for a chat that is not stored yet. */
	sessionId: string | null;
	text = $state('');
	/** Null as long as nothing was attached. */
	tray = $state.raw<Tray | null>(null);
	/** To be sent as soon as its files are uploaded. */
	isQueued = $state(false);
	/** Called when that moment has come. */
	onReady: () => void = () => {};
	#isOpening = $state(false);
	readonly #api: Api;

	constructor(api: Api, sessionId: string | null) {
		this.#api = api;
		this.sessionId = sessionId;
		this.text = readDraft(sessionId);
		if (readStored(this.#filesKey) !== null) void this.#openTray().then(() => this.#settled());
	}

	get isUploading(): boolean {
		return this.#isOpening || (this.tray?.isBusy ?? false);
	}

	/** Something to say, and no file that was not uploaded. */
	get isSendable(): boolean {
		const hasFiles = this.tray !== null && this.tray.files.length > 0;
		return (this.text.trim() !== '' || hasFiles) && !this.tray?.failed.length;
	}

	write(text: string): void {
		this.text = text;
		keepDraft(this.sessionId, text);
	}

	/** Attaches files; false when the part that does so could not be loaded. */
	async attach(files: File[]): Promise<boolean> {
		const tray = await this.#openTray();
		tray?.add(files);
		return tray !== null;
	}

	/** What is to be sent now. The draft is empty from here on; it is stored until it arrived. */
	take(): { text: string; files: KeptFile[] } {
		const text = this.text.trim();
		this.write(text);
		this.text = '';
		this.isQueued = false;
		return { text, files: this.tray?.take() ?? [] };
	}

	/** A message that was not sent comes back, unless another one was begun. */
	async putBack(text: string, files: readonly FileRef[]): Promise<void> {
		if (this.text === '') this.write(text);
		const kept = files.filter(({ deleted }) => !deleted);
		if (kept.length) (await this.#openTray())?.putBack(kept);
	}

	/** The orchestrator has taken the message: what is stored of it goes. */
	accepted(sessionId: string, text: string, files: readonly FileRef[]): void {
		if (readDraft(this.sessionId) === text) keepDraft(this.sessionId, '');
		// Unless others were attached meanwhile.
		if (files.length && this.tray?.kept.length === 0) store(this.#filesKey, null);
		this.sessionId = sessionId;
	}

	get #filesKey(): string {
		return `draft-files.${this.sessionId ?? 'new'}`;
	}

	async #openTray(): Promise<Tray | null> {
		this.#isOpening = true;
		await filed.load();
		this.#isOpening = false;
		if (!filed.module) return null;
		this.tray ??= filed.module.openTray(this.#api.client, {
			storageKey: () => this.#filesKey,
			sessionId: () => this.sessionId,
			onSettled: () => this.#settled(),
		});
		return this.tray;
	}

	#settled(): void {
		if (!this.isQueued) return;
		this.isQueued = false;
		if (this.isSendable) this.onReady();
	}
}

/** The drafts of all chats. One that still uploads goes on while another chat is open. */
export class Drafts {
	readonly #api: Api;
	#open: Draft[] = [];

	constructor(api: Api) {
		this.#api = api;
	}

	of(sessionId: string | null): Draft {
		this.#open = this.#open.filter((draft) => draft.isUploading);
		const known = this.#open.find((draft) => draft.sessionId === sessionId);
		const draft = known ?? new Draft(this.#api, sessionId);
		if (!known) this.#open.push(draft);
		return draft;
	}
}
