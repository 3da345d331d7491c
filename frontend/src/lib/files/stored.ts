/** The files of drafts, kept per chat across reloads. */

import type { Client } from '../api/client';
import { FileRoutes, type KeptFile } from '../api/files';
import { readStored, store } from '../browser/storage';
import { Tray, type TrayListener } from './tray.svelte';

export interface TrayOwner extends Pick<TrayListener, 'onSettled'> {
	/** Where its files are kept in the browser. */
	storageKey: () => string;
	sessionId: () => string | null;
}

/** A tray with the files that were uploaded before, in their order. */
export function openTray(client: Client, owner: TrayOwner): Tray {
	const listener: TrayListener = {
		...owner,
		onChanged: (kept) => keepFiles(owner.storageKey(), kept),
	};
	return new Tray(new FileRoutes(client), listener, readFiles(owner.storageKey()));
}

export function keepFiles(key: string, files: readonly KeptFile[]): void {
	const kept = files.map(({ id, name, mime, size_bytes, width, height }) => {
		return { id, name, mime, size_bytes, width, height };
	});
	store(key, kept.length ? JSON.stringify(kept) : null);
}

export function readFiles(key: string): KeptFile[] {
	try {
		const stored: unknown = JSON.parse(readStored(key) ?? '[]');
		return Array.isArray(stored) ? stored.filter(isKeptFile) : [];
	} catch {
		return [];
	}
}

function isKeptFile(value: unknown): value is KeptFile {
	const { id, name, mime, size_bytes } = (value ?? {}) as Record<string, unknown>;
	return (
		[id, name, mime].every((text) => typeof text === 'string') && typeof size_bytes === 'number'
	);
}
