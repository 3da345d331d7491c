/** The parts that are loaded once the page has started, or when they are needed before. */

import { createContext } from 'svelte';
import type { Client } from '../api/client';
import { Lazy } from '../ui/lazy.svelte';

/** What shows messages and answers: the page starts without it. */
export const conversation = new Lazy(() => import('./Thread.svelte'));
export const opened = new Lazy(() => import('./opened'));
/** What has to do with files. */
export const filed = new Lazy(() => import('../files/filed'));

/** Loads what shows the files of turns before they are drawn: nothing grows under the reader's eyes. */
export async function readyFiles(turns: { files: unknown[] }[]): Promise<void> {
	if (turns.some(({ files }) => files.length > 0)) await filed.load();
}

/** Who gets files for the parts that show them. */
export const [getClient, setClient] = createContext<Client>();
