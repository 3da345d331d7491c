/** What was typed and not yet accepted, kept per chat across reloads. */

import { readStored, store } from '../browser/storage';

const NEW_CHAT = 'new';

export function readDraft(sessionId: string | null): string {
	return readStored(`draft.${sessionId ?? NEW_CHAT}`) ?? '';
}

export function keepDraft(sessionId: string | null, text: string): void {
	store(`draft.${sessionId ?? NEW_CHAT}`, text === '' ? null : text);
}
