import { expect, test } from 'vitest';
import { boxOf, LEAST, MOST } from '../src/lib/files/boxes';
import { expiryNote, sizeNote } from '../src/lib/files/expiry';
import { endingOf, isImage, isWholeResult } from '../src/lib/files/kinds';
import { MAX_ROWS, readTable } from '../src/lib/files/table';

const json = (value: unknown) => readTable(JSON.stringify(value), 'application/json');
const csv = (text: string) => readTable(text, 'text/csv');

test('lists of objects are tables, alone or as the only list of a page', () => {
	const rows = [
		{ id: 1, name: 'a' },
		{ id: 2, more: { deep: [1] }, name: null },
	];
	const table = {
		columns: ['id', 'name', 'more'],
		rows: [
			['1', 'a', ''],
			['2', '', '{"deep":[1]}'],
		],
		total: 2,
	};
	expect(json(rows)).toEqual(table);
	expect(json({ items: rows, next_cursor: null })).toEqual(table);
});

test('what is no table is none', () => {
	for (const value of [[], [1, 2], [[1]], { a: 1 }, 'text', null, { a: [{}], b: [{}] }]) {
		expect(json(value)).toBeNull();
	}
	expect(readTable('[{"id": 1}', 'application/json')).toBeNull();
	for (const text of ['', 'one column\nof text', 'a,b']) expect(csv(text)).toBeNull();
});

test('CSV is read as it is written, whatever separates', () => {
	const expected = {
		columns: ['a', 'b'],
		rows: [
			['1, 2', 'say "hi"\nagain'],
			['3', ''],
		],
		total: 2,
	};
	expect(csv('\ufeffa,b\r\n"1, 2","say ""hi""\nagain"\r\n\r\n3\r\n')).toEqual(expected);
	expect(csv('a;b\n1, 2;"say ""hi""\nagain"\n3;')).toEqual(expected);
	expect(csv('a\tb\n1, 2\t"say ""hi""\nagain"\n3\t')).toEqual(expected);
});

test('quotes in wrong places lose nothing', () => {
	expect(csv('a,b\n"1"x,2"2\n"3,4\n')?.rows).toEqual([
		['1x', '2"2'],
		['3,4\n', ''],
	]);
});

test('a long table is cut and says so', () => {
	const rows = Array.from({ length: MAX_ROWS + 5 }, (_, id) => ({ id }));
	expect(json(rows)?.rows).toHaveLength(MAX_ROWS);
	expect(json(rows)?.total).toBe(MAX_ROWS + 5);
	const lines = rows.map(({ id }) => `${id},x`).join('\n');
	expect(csv(`id,x\n${lines}`)?.total).toBe(MAX_ROWS + 5);
});

test('kinds are told by what was found, names only label', () => {
	expect([isImage('image/png'), isImage('image/svg+xml')]).toEqual([true, false]);
	expect(['a.pdf', 'b.tar.gz', 'c', 'd.longending'].map(endingOf)).toEqual(['PDF', 'GZ', '', '']);
	expect(isWholeResult({ name: 'mail__search.json' }, 'mail__search')).toBe(true);
	expect(isWholeResult({ name: 'mail__search.png' }, 'mail__search')).toBe(false);
	expect(isWholeResult({ name: '.json' }, '')).toBe(false);
});

test('a picture has a box of its own size, or as large as fits', () => {
	const { small, large } = MOST;
	expect(boxOf({ width: 200, height: 100 }, large)).toEqual({ width: 200, height: 100 });
	expect(boxOf({ width: 3200, height: 2000 }, large)).toEqual({ width: 320, height: 200 });
	expect(boxOf({ width: 3000, height: 4000 }, small)).toEqual({ width: 84, height: 112 });
});

test('a tiny or very thin picture can still be touched', () => {
	expect(boxOf({ width: 1, height: 1 }, MOST.large)).toEqual({ width: LEAST, height: LEAST });
	expect(boxOf({ width: 10_000, height: 10 }, MOST.large)).toEqual({ width: 320, height: LEAST });
	expect(boxOf({ width: 10, height: 10_000 }, MOST.small)).toEqual({ width: LEAST, height: 112 });
});

test('pictures whose size nobody noted have no box of their own', () => {
	for (const size of [{}, { width: null, height: null }, { width: 0, height: 9 }]) {
		expect(boxOf(size, MOST.large)).toBeNull();
	}
});

test('the end of a file is told when it is near', () => {
	const now = new Date('2026-11-20T12:00:00.000Z');
	const note = (expiresAt: string | null) => expiryNote(expiresAt, now);
	expect(note('2026-11-26T13:00:00.000Z')).toBe('expires in 6 d');
	expect(note('2026-11-27T12:00:00.000Z')).toBe('expires in 7 d');
	expect(note('2026-11-21T12:00:00.000Z')).toBe('expires in 1 d');
	expect(note('2026-11-21T11:00:00.000Z')).toBe('expires within a day');
	expect(note('2026-11-26T11:59:00.000Z')).toBe('expires in 6 d');
	expect(note('2026-11-27T12:00:01.000Z')).toBe('');
	expect(note(null)).toBe('');
	const file = { size_bytes: 1200, expires_at: '2026-11-23T12:00:00.000Z' };
	expect(sizeNote(file, now)).toBe('1.2 kB, expires in 3 d');
	expect(sizeNote({ size_bytes: 1200 }, now)).toBe('1.2 kB');
});
