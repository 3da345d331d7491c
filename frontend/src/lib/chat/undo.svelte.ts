/** Taking back what calls changed. */

import { createContext } from 'svelte';
import type { Api } from '../api/api';
import { ApiError } from '../api/client';
import type { Undone } from '../api/types';
import { bareName, serverOf } from '../approvals/ask.svelte';
import { strings } from '../text/strings';
import type { CallPart } from './parts.svelte';
import type { ChatTurn } from './turn.svelte';

export class Undo {
	readonly #api: Api;

	constructor(api: Api) {
		this.#api = api;
	}

	async call(part: CallPart): Promise<void> {
		if (part.isUndoing || !part.canUndo) return;
		part.isUndoing = true;
		part.undoFailure = '';
		try {
			for (const undone of await this.#api.undoCall(part.key)) take(part, undone);
		} catch (error) {
			part.undoFailure = sentenceOf(error);
		} finally {
			part.isUndoing = false;
		}
	}

	/** Undoes whatever in the turn can be undone, and reports what could not. */
	async turn(turn: ChatTurn): Promise<void> {
		if (turn.isUndoing || turn.id === null) return;
		turn.isUndoing = true;
		turn.undoReport = '';
		try {
			const all = await this.#api.undoTurn(turn.id);
			const parts = new Map(turn.calls.map((part) => [part.key, part]));
			for (const undone of all) take(parts.get(undone.tool_call_id), undone);
			turn.undoReport = reportOf(all);
		} catch (error) {
			turn.undoReport = sentenceOf(error);
		} finally {
			turn.isUndoing = false;
		}
	}
}

function take(part: CallPart | undefined, undone: Undone): void {
	if (!part) return;
	part.isUndone = undone.status === 'undone';
	part.undoFailure = part.isUndone ? '' : problemOf(undone);
}

function reportOf(all: Undone[]): string {
	const problems = all.filter(({ status }) => status !== 'undone').map(problemOf);
	return [strings.undo.done(all.length - problems.length, all.length), ...problems].join('\n');
}

function problemOf({ tool, status, error }: Undone): string {
	const server = serverOf(tool);
	const { failed, unknown } = strings.undo;
	const name = `${server} ${bareName(server, tool)}`;
	return (status === 'unknown' ? unknown : failed)(name, error ?? '').trim();
}

function sentenceOf(error: unknown): string {
	if (error instanceof ApiError && error.status < 500) return error.message;
	return strings.undo.unreachable;
}

export const [getUndo, setUndo] = createContext<Undo>();
