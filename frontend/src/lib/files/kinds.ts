/** What kind of thing a file is, to look at. */

const IMAGES = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/gif']);
const TABLES = new Set(['text/csv', 'application/json']);
const LONGEST_ENDING = 4;
/** More than this is not laid out as a table. */
const LARGEST_TABLE_BYTES = 5_000_000;

/** Pictures that are only pictures; SVG is a document. */
export function isImage(mime: string): boolean {
	return IMAGES.has(mime);
}

export function isAudio(mime: string): boolean {
	return mime.startsWith('audio/');
}

export function mayBeTable({ mime, size_bytes }: { mime: string; size_bytes: number }): boolean {
	return TABLES.has(mime) && size_bytes <= LARGEST_TABLE_BYTES;
}

/** The text of a result that was too long for the model is named after its tool. */
export function isWholeResult({ name }: { name: string }, tool: string): boolean {
	return tool !== '' && (name === `${tool}.json` || name === `${tool}.txt`);
}

/** A few letters: "PDF", "DOCX"; empty where the name has no ending. */
export function endingOf(name: string): string {
	const ending = /\.(\w+)$/.exec(name)?.[1] ?? '';
	return ending.length <= LONGEST_ENDING ? ending.toUpperCase() : '';
}
