/** The routes of attachments. What a file holds is sent and read as it is, never as JSON. */

import { ApiError, type Client, ConnectionError, refusalOf } from './client';

const ROOT = '/api/attachments';

/** A file the orchestrator keeps, as far as the page needs to know it. */
export interface KeptFile {
	id: string;
	/** As its maker called it. */
	name: string;
	/** Found in its bytes. */
	mime: string;
	size_bytes: number;
}

/** A file that a message shows. */
export interface FileRef extends KeptFile {
	/** Then its id is all that is known. */
	deleted?: boolean;
}

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
				else reject(this.#client.refused(refusalIn(status, response)));
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

interface UploadAnswer {
	items?: KeptFile[];
	refused?: { code: string; detail: string }[];
}

function keptIn(answer: UploadAnswer | null): KeptFile | null {
	return answer?.items?.[0] ?? null;
}

/** A file may be refused alone, or the whole request. */
function refusalIn(status: number, answer: UploadAnswer | null): ApiError {
	const [refused] = answer?.refused ?? [];
	if (!refused) return refusalOf(status, answer);
	return new ApiError(status === 201 ? 400 : status, refused.code, refused.detail);
}

function filePath(id: string): string {
	return `${ROOT}/${encodeURIComponent(id)}`;
}
