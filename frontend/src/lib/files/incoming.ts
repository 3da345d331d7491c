/** Files that are dropped or pasted. */

import type { Attachment } from 'svelte/attachments';

/** Told of files; folders cannot be read, but should be spoken of. */
export type OnFiles = (files: File[], hasFolders: boolean) => void;

/**
 * Listens on the whole page, so that a drop beside its target does not leave it.
 * `onDrag` is told whether files hang above the page.
 */
export function catchDrops(onDrag: (isOver: boolean) => void, onFiles: OnFiles): Attachment {
	return () => {
		const listeners: [string, (event: DragEvent) => void][] = [
			['dragover', (event) => over(event, onDrag)],
			['dragleave', (event) => event.relatedTarget === null && onDrag(false)],
			[
				'drop',
				(event) => {
					onDrag(false);
					if (!event.dataTransfer || !bringsFiles(event)) return;
					event.preventDefault();
					take(event.dataTransfer, onFiles);
				},
			],
		];
		for (const [type, listener] of listeners) addEventListener(type, listener as EventListener);
		return () => {
			for (const [type, listener] of listeners) {
				removeEventListener(type, listener as EventListener);
			}
		};
	};
}

/** Takes the files of what is pasted, unless it is text that was copied with its picture. */
export function takePasted(event: ClipboardEvent, onFiles: OnFiles): void {
	const { clipboardData: data } = event;
	if (!data?.files.length) return;
	if (data.types.includes('text/plain') && data.types.includes('text/html')) return;
	event.preventDefault();
	take(data, onFiles);
}

function over(event: DragEvent, onDrag: (isOver: boolean) => void): void {
	if (!bringsFiles(event)) return;
	event.preventDefault();
	if (event.dataTransfer) event.dataTransfer.dropEffect = 'copy';
	onDrag(true);
}

function bringsFiles({ dataTransfer }: DragEvent): boolean {
	return dataTransfer?.types.includes('Files') ?? false;
}

function take({ items, files }: DataTransfer, onFiles: OnFiles): void {
	const folders = new Set(
		[...items].flatMap((item) => {
			const file = item.webkitGetAsEntry?.()?.isDirectory ? item.getAsFile() : null;
			return file ? [file.name] : [];
		}),
	);
	onFiles(
		[...files].filter(({ name }) => !folders.has(name)),
		folders.size > 0,
	);
}
