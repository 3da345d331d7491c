/** Holds the built page to its budgets: what a browser loads, compressed. Needs `npm run build`. */

import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const DIST = new URL('../dist/', import.meta.url);
const BUDGETS_KB = { shell: 45, markdown: 35, highlight: 25, styles: 12, fonts: 70 };
const ENTRIES = {
	shell: 'index.html',
	markdown: 'src/lib/md/renderer.ts',
	highlight: 'src/lib/md/highlight.ts',
};

const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', DIST), 'utf8'));

/** The files an entry brings along, without those `loaded` already has. */
function filesOf(name, loaded = new Set()) {
	const chunk = manifest[name];
	if (!chunk) throw new Error(`${name} is not in the manifest: was the page built?`);
	if (loaded.has(chunk.file)) return [];
	loaded.add(chunk.file);
	return [chunk.file, ...(chunk.imports ?? []).flatMap((imported) => filesOf(imported, loaded))];
}

function compressed(file) {
	return gzipSync(readFileSync(new URL(file, DIST)), { level: 9 }).length;
}

function assets(ending) {
	return readdirSync(new URL('assets/', DIST))
		.filter((name) => name.endsWith(ending))
		.map((name) => `assets/${name}`);
}

const loaded = new Set();
const files = Object.fromEntries(
	Object.entries(ENTRIES).map(([part, entry]) => [part, filesOf(entry, loaded)]),
);
files.styles = assets('.css');
files.fonts = assets('.woff2');

const lines = Object.entries(BUDGETS_KB).map(([part, budget]) => {
	const size = files[part].reduce((sum, file) => sum + compressed(file), 0) / 1000;
	if (size > budget) process.exitCode = 1;
	const verdict = size > budget ? 'over' : 'within';
	return `${part.padEnd(10)} ${size.toFixed(1).padStart(5)} kB gz, ${verdict} ${budget}`;
});
process.stdout.write(`${lines.join('\n')}\n`);
