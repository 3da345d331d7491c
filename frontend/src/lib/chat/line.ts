/** The parts of an answer as they are laid out: long runs of finished calls become one entry. */

import type { CallPart, Part } from './parts.svelte';

const FOLD_FROM = 3;

export type LineEntry = Part | { kind: 'fold'; key: string; calls: CallPart[] };

/** Only answers that were over before the page saw them are folded: nothing may jump while one reads. */
export function lineEntries(parts: Part[], isHistory: boolean): LineEntry[] {
	if (!isHistory) return parts;
	const entries: LineEntry[] = [];
	let run: CallPart[] = [];
	const closeRun = () => {
		const [first] = run;
		if (first && run.length >= FOLD_FROM) {
			entries.push({ kind: 'fold', key: `fold-${first.key}`, calls: run });
		} else {
			entries.push(...run);
		}
		run = [];
	};
	for (const part of parts) {
		if (part.kind === 'call' && isFoldable(part)) {
			run.push(part);
		} else {
			closeRun();
			entries.push(part);
		}
	}
	closeRun();
	return entries;
}

/** What can be undone, or was, stays in sight, and so does what came with a file. */
function isFoldable({ state, undoable, isUndone, files }: CallPart): boolean {
	return state === 'done' && !undoable && !isUndone && files.length === 0;
}
