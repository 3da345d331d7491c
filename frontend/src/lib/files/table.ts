/** Tables in files: JSON lists of objects, and CSV. */

export const MAX_ROWS = 1000;
const MAX_COLUMNS = 50;
const SEPARATORS = [',', ';', '\t'];

export interface Table {
	columns: string[];
	/** At most MAX_ROWS, each as long as the columns. */
	rows: string[][];
	/** How many rows the file has. */
	total: number;
}

/** Null where the text holds no table. */
export function readTable(text: string, mime: string): Table | null {
	return mime === 'application/json' ? readJson(text) : readCsv(text);
}

function readJson(text: string): Table | null {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		return null;
	}
	const records = recordsIn(value);
	if (!records) return null;
	const shown = records.slice(0, MAX_ROWS);
	const columns = [...new Set(shown.flatMap((record) => Object.keys(record)))];
	const cells = columns.slice(0, MAX_COLUMNS);
	const rows = shown.map((record) => cells.map((name) => cellOf(record[name])));
	return { columns: cells, rows, total: records.length };
}

type Row = Record<string, unknown>;

/** The list itself, or the only list of objects in an object: `{items: [...], next_cursor}`. */
function recordsIn(value: unknown): Row[] | null {
	if (isRecords(value)) return value;
	if (typeof value !== 'object' || value === null) return null;
	const lists = Object.values(value).filter(isRecords);
	return lists.length === 1 ? (lists[0] ?? null) : null;
}

function isRecords(value: unknown): value is Row[] {
	const isRow = (row: unknown) => typeof row === 'object' && row !== null && !Array.isArray(row);
	return Array.isArray(value) && value.length > 0 && value.every(isRow);
}

function cellOf(value: unknown): string {
	if (value === null || value === undefined) return '';
	return typeof value === 'string' ? value : JSON.stringify(value);
}

function readCsv(text: string): Table | null {
	const source = text.replace(/^\ufeff/, '');
	const all = splitCsv(source, separatorOf(source)).filter((row) =>
		row.some((cell) => cell !== ''),
	);
	const [head, ...records] = all;
	if (!head || head.length < 2 || records.length === 0) return null;
	const columns = head.slice(0, MAX_COLUMNS);
	const shown = records.slice(0, MAX_ROWS);
	const rows = shown.map((row) => columns.map((_, index) => row[index] ?? ''));
	return { columns, rows, total: records.length };
}

/** The one that the first line has most of. */
function separatorOf(text: string): string {
	const line = text.slice(0, text.search(/[\r\n]|$/));
	const count = (separator: string) => line.split(separator).length;
	return SEPARATORS.reduce((best, next) => (count(next) > count(best) ? next : best));
}

/** Fields as RFC 4180 writes them: quoted ones may hold separators, line ends and doubled quotes. */
function splitCsv(text: string, separator: string): string[][] {
	const rows: string[][] = [];
	let row: string[] = [];
	let at = 0;
	while (at < text.length) {
		const quoted = text[at] === '"' ? readQuoted(text, at + 1) : null;
		const rest = quoted?.end ?? at;
		const end = endOfField(text, rest, separator);
		row.push((quoted?.cell ?? '') + text.slice(rest, end));
		at = end + 1;
		if (text[end] === separator) continue;
		rows.push(row);
		row = [];
		if (text.startsWith('\r\n', end)) at += 1;
	}
	if (row.length) rows.push(row);
	return rows;
}

function endOfField(text: string, from: number, separator: string): number {
	let end = from;
	while (end < text.length && text[end] !== separator && !'\r\n'.includes(text[end] ?? ''))
		end += 1;
	return end;
}

/** A field from behind its first quote; one that is never closed holds all the rest. */
function readQuoted(text: string, from: number): { cell: string; end: number } {
	let close = text.indexOf('"', from);
	while (close !== -1 && text[close + 1] === '"') close = text.indexOf('"', close + 2);
	const end = close === -1 ? text.length : close;
	return { cell: text.slice(from, end).replaceAll('""', '"'), end: end + 1 };
}
