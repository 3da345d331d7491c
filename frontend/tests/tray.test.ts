// @vitest-environment happy-dom
import { beforeEach, expect, test, vi } from 'vitest';
import { ApiError, Client, ConnectionError } from '../src/lib/api/client';
import { FileRoutes, type KeptFile, type UploadOptions } from '../src/lib/api/files';
import { openTray } from '../src/lib/files/stored';
import type { Tray } from '../src/lib/files/tray.svelte';
import { files as words } from '../src/lib/text/files';

const KEY = 'draft-files.s';

interface Upload extends UploadOptions {
	name: string;
	succeed: () => Promise<void>;
	fail: (error: Error) => Promise<void>;
}

/** Uploads that end when the test says so, and what else was asked for. */
function scriptedUploads() {
	const uploads: Upload[] = [];
	vi.spyOn(FileRoutes.prototype, 'upload').mockImplementation(
		(file, options) =>
			new Promise((resolve, reject) => {
				const end = async (settle: () => void) => {
					settle();
					await vi.waitFor(() => expect(true).toBe(true));
				};
				options.signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
				const kept = { id: `att_${file.name}`, name: file.name, mime: 'text/plain', size_bytes: 1 };
				uploads.push({
					...options,
					name: file.name,
					succeed: () => end(() => resolve(kept)),
					fail: (error) => end(() => reject(error)),
				});
			}),
	);
	const deleted = vi.spyOn(FileRoutes.prototype, 'delete').mockResolvedValue(null);
	const looked = vi.spyOn(FileRoutes.prototype, 'file');
	return { uploads, deleted, looked };
}

const onSettled = vi.fn();

function newTray(): Tray {
	return openTray(new Client(), { storageKey: () => KEY, sessionId: () => 's', onSettled });
}

const named = (...names: string[]) => names.map((name) => new File(['x'], name));
const states = (tray: Tray) => tray.files.map(({ state }) => state);
const stored = () => JSON.parse(localStorage.getItem(`flotilla.${KEY}`) ?? '[]') as KeptFile[];

beforeEach(() => {
	localStorage.clear();
	onSettled.mockClear();
});

test('three files at a time, in their order whatever ends first', async () => {
	const { uploads } = scriptedUploads();
	const tray = newTray();
	tray.add(named('a', 'b', 'c', 'd'));
	expect(states(tray)).toEqual(['uploading', 'uploading', 'uploading', 'waiting']);
	expect(uploads[0]?.sessionId).toBe('s');
	uploads[1]?.onProgress(0.5);
	expect(tray.files[1]?.progress).toBe(0.5);
	await uploads[2]?.succeed();
	expect(states(tray)).toEqual(['uploading', 'uploading', 'ready', 'uploading']);
	for (const index of [3, 0, 1]) {
		expect(onSettled).not.toHaveBeenCalled();
		await uploads[index]?.succeed();
	}
	expect(tray.kept.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd']);
	expect(stored().map(({ id }) => id)).toEqual(['att_a', 'att_b', 'att_c', 'att_d']);
	expect(onSettled).toHaveBeenCalledOnce();
});

test.each([
	['too large', new ApiError(413, 'too_large', 'The file is too large.'), false],
	['of a wrong type', new ApiError(415, 'unsupported_type', 'The file is an archive.'), false],
	['more than the disk takes', new ApiError(507, 'storage_full', 'The disk is full.'), true],
	['sent to nobody', new ConnectionError('x'), true],
] as const)(
	'a file %s says why, and may be retried where that helps',
	async (_, error, canRetry) => {
		const { uploads } = scriptedUploads();
		const tray = newTray();
		tray.add(named('a', 'b'));
		await uploads[1]?.succeed();
		await uploads[0]?.fail(error);
		const [file] = tray.files;
		const failure = error instanceof ApiError ? error.message : words.offline;
		expect(file).toMatchObject({ state: 'failed', failure, canRetry });
		expect([tray.failed, onSettled.mock.calls.length]).toEqual([[file], 1]);
		if (file) tray.retry(file);
		expect(file).toMatchObject({ state: 'uploading', failure: '' });
		await uploads[2]?.succeed();
		expect(tray.kept.map(({ name }) => name)).toEqual(['a', 'b']);
	},
);

test('a file that is taken back is aborted, and deleted where it was uploaded', async () => {
	const { uploads, deleted } = scriptedUploads();
	const tray = newTray();
	tray.add(named('a', 'b', 'c', 'd'));
	await uploads[0]?.succeed();
	const [a, b] = tray.files;
	if (!a || !b) return expect.unreachable();
	tray.remove(a);
	expect(deleted).toHaveBeenCalledExactlyOnceWith('att_a');
	tray.remove(b);
	expect(uploads[1]?.signal.aborted).toBe(true);
	await Promise.all([uploads[2]?.succeed(), uploads[3]?.succeed()]);
	expect(tray.kept.map(({ name }) => name)).toEqual(['c', 'd']);
	expect(stored().map(({ name }) => name)).toEqual(['c', 'd']);
	expect(deleted).toHaveBeenCalledOnce();
	expect(onSettled).toHaveBeenCalledOnce();
});

test('what was uploaded comes back after a reload, unless it was deleted', async () => {
	const { looked } = scriptedUploads();
	const kept = (id: string): KeptFile => ({ id, name: id, mime: 'image/png', size_bytes: 2 });
	const broken = [{ id: 3 }, null, 'x'];
	localStorage.setItem(
		`flotilla.${KEY}`,
		JSON.stringify([kept('a'), ...broken, kept('b'), kept('c')]),
	);
	looked.mockImplementation(async (id) => {
		if (id === 'a') throw new ApiError(404, 'not_found', 'There is none.');
		if (id === 'b') throw new ConnectionError('x');
		return kept(id);
	});
	const tray = newTray();
	await vi.waitFor(() => expect(tray.kept.map(({ id }) => id)).toEqual(['b', 'c']));
	expect(stored().map(({ id }) => id)).toEqual(['b', 'c']);
	localStorage.setItem(`flotilla.${KEY}`, '{broken');
	expect(newTray().files).toEqual([]);
});
