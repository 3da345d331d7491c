/** Files on their way into a message: a few are uploaded at once, in the order they were added. */

import { ApiError, isTransient } from '../api/client';
import type { FileRoutes, KeptFile } from '../api/files';
import { randomId } from '../browser/random';
import { files as words } from '../text/files';

const AT_ONCE = 3;

export type TrayState = 'waiting' | 'uploading' | 'ready' | 'failed';

export class TrayFile {
	readonly key: string;
	readonly name: string;
	readonly sizeBytes: number;
	/** What it is from here; absent when it was uploaded before the page was loaded. */
	readonly file: File | null;
	state = $state<TrayState>('waiting');
	/** From 0 to 1. */
	progress = $state(0);
	/** Why it was not uploaded, in a sentence. */
	failure = $state('');
	/** Whether the same file may succeed later. */
	canRetry = $state(false);
	kept = $state.raw<KeptFile | null>(null);
	readonly #abort = new AbortController();

	constructor(source: File | KeptFile) {
		const isKept = 'id' in source;
		this.key = isKept ? source.id : randomId();
		this.name = source.name;
		this.sizeBytes = isKept ? source.size_bytes : source.size;
		this.file = isKept ? null : source;
		if (!isKept) return;
		this.kept = source;
		this.state = 'ready';
	}

	/** By what it was called here, or by what was found in it. */
	get mime(): string {
		return this.kept?.mime ?? this.file?.type ?? '';
	}

	get isBusy(): boolean {
		return this.state === 'waiting' || this.state === 'uploading';
	}

	get signal(): AbortSignal {
		return this.#abort.signal;
	}

	abort(): void {
		this.#abort.abort();
	}
}

export interface TrayListener {
	/** The chat the files belong to, as soon as there is one. */
	sessionId: () => string | null;
	/** What would be sent has changed. */
	onChanged: (kept: KeptFile[]) => void;
	/** Nothing is on its way any more. */
	onSettled: () => void;
}

export class Tray {
	files = $state.raw<TrayFile[]>([]);
	readonly #routes: FileRoutes;
	readonly #listener: TrayListener;

	constructor(routes: FileRoutes, listener: TrayListener, kept: KeptFile[] = []) {
		this.#routes = routes;
		this.#listener = listener;
		this.files = kept.map((file) => new TrayFile(file));
		for (const file of this.files) void this.#verify(file);
	}

	get isBusy(): boolean {
		return this.files.some((file) => file.isBusy);
	}

	get failed(): TrayFile[] {
		return this.files.filter(({ state }) => state === 'failed');
	}

	/** What is uploaded, in the order it was added. */
	get kept(): KeptFile[] {
		return this.files.flatMap(({ kept }) => (kept ? [kept] : []));
	}

	add(files: Iterable<File>): void {
		this.files = [...this.files, ...Array.from(files, (file) => new TrayFile(file))];
		this.#next();
	}

	retry(file: TrayFile): void {
		if (file.state !== 'failed') return;
		file.state = 'waiting';
		file.failure = '';
		this.#next();
	}

	/** Takes a file back: what was uploaded of it is deleted. */
	remove(file: TrayFile): void {
		this.#forget(file);
		file.abort();
		if (file.kept) void this.#delete(file.kept.id);
	}

	/** Empties the tray for a message that is being sent. */
	take(): KeptFile[] {
		const { kept } = this;
		this.files = [];
		return kept;
	}

	putBack(kept: readonly KeptFile[]): void {
		this.files = [...kept.map((file) => new TrayFile(file)), ...this.files];
		this.#listener.onChanged(this.kept);
	}

	#forget(file: TrayFile): void {
		const wasBusy = this.isBusy;
		this.files = this.files.filter((other) => other !== file);
		this.#listener.onChanged(this.kept);
		if (wasBusy) this.#next();
	}

	#next(): void {
		const isRunning = ({ state }: TrayFile) => state === 'uploading';
		const free = AT_ONCE - this.files.filter(isRunning).length;
		const waiting = this.files.filter(({ state }) => state === 'waiting').slice(0, free);
		for (const file of waiting) void this.#upload(file);
		if (!this.isBusy) this.#listener.onSettled();
	}

	async #upload(file: TrayFile): Promise<void> {
		if (!file.file) return;
		file.state = 'uploading';
		file.progress = 0;
		const onProgress = (fraction: number) => {
			file.progress = fraction;
		};
		const options = { sessionId: this.#listener.sessionId(), onProgress, signal: file.signal };
		try {
			const kept = await this.#routes.upload(file.file, options);
			// Taken back while the last bytes were answered.
			if (file.signal.aborted) return void this.#delete(kept.id);
			file.kept = kept;
			file.state = 'ready';
			this.#listener.onChanged(this.kept);
		} catch (error) {
			if (file.signal.aborted) return;
			file.failure = error instanceof ApiError ? error.message : words.offline;
			file.canRetry = isTransient(error);
			file.state = 'failed';
		}
		this.#next();
	}

	/** A file of an old draft may have been deleted meanwhile. */
	async #verify(file: TrayFile): Promise<void> {
		try {
			await this.#routes.file(file.key);
		} catch (error) {
			if (error instanceof ApiError && error.status === 404) this.#forget(file);
		}
	}

	async #delete(id: string): Promise<void> {
		try {
			await this.#routes.delete(id);
		} catch {
			// Nobody names it any more: it is deleted when its time is over.
		}
	}
}
