import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = 'src';
const GENERATED = /\.gen\.ts$/;
const sources = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
	.filter((name) => /\.(?:ts|svelte|css)$/.test(name) && !GENERATED.test(name))
	.map((name) => ({ name, text: readFileSync(join(ROOT, name), 'utf8') }));

/** Floors from the ground up: a file may import from its own folder and from lower floors. */
const FLOORS = [
	['lib/text', 'lib/browser'],
	['lib/api', 'lib/ui', 'lib/md'],
	['lib/accounts', 'lib/approvals', 'lib/files'],
	['lib/chat'],
	['routes'],
	['.'],
];

/** Imports that break the floors, as "file imports file". */
function upwardImports(files: { name: string; text: string }[]): string[] {
	return files.flatMap(({ name, text }) =>
		importsOf(text)
			.map((target) => normalize(join(dirname(name), target)))
			.filter((target) => !mayImport(dirname(name), dirname(target)))
			.map((target) => `${name} imports ${target}`),
	);
}

function importsOf(text: string): string[] {
	const pattern = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;
	return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

function mayImport(from: string, to: string): boolean {
	return from === to || floorOf(from) > floorOf(to) || to === 'styles';
}

function floorOf(folder: string): number {
	return FLOORS.findIndex((floor) => floor.includes(folder));
}

test('imports only lead downward', () => {
	expect(sources.length).toBeGreaterThan(50);
	expect(upwardImports(sources)).toEqual([]);
});

test('an import that leads upward or sideways would be found', () => {
	const seeded = [
		{ name: 'lib/api/x.ts', text: "import { a } from '../chat/turn.svelte';" },
		{ name: 'lib/ui/x.svelte', text: "import { a } from '../md/blocks';" },
		{ name: 'lib/md/x.ts', text: "const a = import('../../routes/keys');" },
	];
	expect(upwardImports(seeded)).toHaveLength(3);
});

test('every folder has its floor', () => {
	const folders = new Set(sources.map(({ name }) => dirname(name)));
	folders.delete('styles');
	expect([...folders].filter((folder) => floorOf(folder) === -1)).toEqual([]);
});

test('only two components write HTML', () => {
	const writers = sources.filter(({ text }) => /\{@html|innerHTML|insertAdjacentHTML/.test(text));
	expect(writers.map(({ name }) => name).sort()).toEqual([
		'lib/md/CodeBlock.svelte',
		'lib/md/Markdown.svelte',
	]);
});

test('only the client fetches, and components never do', () => {
	const fetching = sources.filter(({ text }) => /\bfetch\(/.test(text));
	expect(fetching.map(({ name }) => name)).toEqual(['lib/api/client.ts']);
});

test('nothing needs an inline style or an inline script', () => {
	const markup = sources.filter(({ name }) => name.endsWith('.svelte'));
	const page = { name: 'index.html', text: readFileSync('index.html', 'utf8') };
	const inline = [...markup, page].filter(({ text }) => /\sstyle="|<script>[^<]/.test(text));
	expect(inline.map(({ name }) => name)).toEqual([]);
});

test('files stay small', () => {
	const tooLong = sources
		.map(({ name, text }) => ({ name, lines: text.split('\n').length - 1 }))
		.filter(({ name, lines }) => lines > (name.endsWith('.svelte') ? 200 : 250));
	expect(tooLong).toEqual([]);
});

test('dependencies are pinned and the lock names no host', () => {
	const { dependencies = {}, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
	const versions = Object.values({ ...dependencies, ...devDependencies });
	expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([]);
	expect(readFileSync('package-lock.json', 'utf8')).not.toContain('"resolved"');
});
