/** The routes of attachments. What a file holds is sent and read as it is, never as JSON. */

import { type Client, ConnectionError, refusalOf } from './client';
import type { AttachmentShown, Uploaded } from './types';

const ROOT = '/api/attachments';

/** A file that a message shows. */
export type FileRef = AttachmentShown;
/** A file the orchestrator keeps, as far as the page needs to know it. */
export type KeptFile = Omit<FileRef, 'deleted'>;

export interface UploadOptions {
	/** The chat it belongs to; null before there is one. */
	sessionId: string | null;
	/** Told how much has been sent, from 0 to 1. */
	onProgress: (fraction: number) => void;
	signal: AbortSignal;
}

/** Where the bytes are: an address of ours that does not expire while one is signed in. */
export function contentPath(id: string): string {
	return `${filePath(id)}/content`;
}

export class FileRoutes {
	readonly #client: Client;

	constructor(client: Client) {
		this.#client = client;
	}

	file(id: string): Promise<KeptFile> {
		return this.#client.json('GET', filePath(id));
	}

	text(id: string): Promise<string> {
		return this.#client.text(contentPath(id));
	}

	delete(id: string): Promise<null> {
		return this.#client.json('DELETE', filePath(id));
	}

	/** `fetch` does not tell how far an upload is; this older way does. */
	upload(file: File, { sessionId, onProgress, signal }: UploadOptions): Promise<KeptFile> {
		return new Promise((resolve, reject) => {
			const request = new XMLHttpRequest();
			const abort = () => request.abort();
			request.open('POST', '/api/uploads');
			request.responseType = 'json';
			request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
			request.onload = () => {
				const { status, response } = request;
				const kept = status === 201 ? keptIn(response) : null;
				if (kept) resolve(kept);
				else reject(this.#client.refused(refusalOf(status, response)));
			};
			request.onerror = () => reject(new ConnectionError('The upload broke off.'));
			request.onabort = () => reject(new DOMException('The upload was taken back.', 'AbortError'));
			request.onloadend = () => signal.removeEventListener('abort', abort);
			signal.addEventListener('abort', abort);
			request.send(formOf(file, sessionId));
		});
	}
}

function formOf(file: File, sessionId: string | null): FormData {
	const form = new FormData();
	// Before the file: who reads a stream wants to know it first.
	if (sessionId !== null) form.append('session_id', sessionId);
	form.append('file', file);
	return form;
}

function keptIn(answer: Uploaded | null): KeptFile | null {
	return answer?.items[0] ?? null;
}

function filePath(id: string): string {
	return `${ROOT}/${encodeURIComponent(id)}`;
}
