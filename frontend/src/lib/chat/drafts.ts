/** What was typed and not yet accepted, kept per chat across reloads. */

import { readStored, store } from '../browser/storage';

const NEW_CHAT = 'new';

export function readDraft(sessionId: string | null): string {
	return readStored(draftKey(sessionId)) ?? '';
}

export function keepDraft(sessionId: string | null, text: string): void {
	store(draftKey(sessionId), text === '' ? null : text);
}

function draftKey(sessionId: string | null): string {
	return `draft.${sessionId ?? NEW_CHAT}`;
}
