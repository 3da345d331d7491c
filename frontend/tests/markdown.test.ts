import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Block, BlockStream } from '../src/lib/md/blocks';

/** Our own traps, and the READMEs of what is installed: the lock file pins them. */
const corpus = [...markdownIn('tests/corpus'), ...readmesIn('node_modules')];

function markdownIn(folder: string): [string, string][] {
	const names = readdirSync(folder).filter((name) => name.endsWith('.md'));
	return names.map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')]);
}

function readmesIn(folder: string): [string, string][] {
	return readdirSync(folder, { withFileTypes: true })
		.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
		.flatMap((entry) => markdownIn(`${folder}/${entry.name}`))
		.filter(([name, text]) => name === 'README.md' && text.length < 15_000)
		.slice(0, 40);
}

/** Numbers between 0 and 1, the same in every run. */
function seeded(seed: number): () => number {
	let state = seed;
	return () => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return state / 2 ** 32;
	};
}

/** Feeds the text in random pieces; returns the stream as it is before the end. */
function streamed(text: string, seed: number, longest: number): BlockStream {
	const random = seeded(seed);
	const stream = new BlockStream();
	for (let end = 0; end < text.length; ) {
		end += 1 + Math.floor(random() * longest);
		stream.update(text.slice(0, end));
	}
	return stream;
}

function shown(blocks: Block[]): unknown[] {
	return blocks.map(({ kind, html, code, language, isOpen }) => [
		kind,
		html,
		code,
		language,
		isOpen,
	]);
}

test('the corpus is there', () => {
	expect(corpus.length).toBeGreaterThan(20);
});

describe.each(corpus.map(([name, text], index) => ({ name, text, index })))(
	'$index $name',
	({ text, index }) => {
		test('in random pieces ends as it does in one', () => {
			const stream = streamed(text, index + 1, 160);
			expect(shown(stream.finish(text))).toEqual(shown(new BlockStream().finish(text)));
		});
	},
);

test('letter by letter our own corpus ends as it does in one', () => {
	for (const [, text] of markdownIn('tests/corpus')) {
		const stream = streamed(text, 7, 1);
		expect(shown(stream.finish(text))).toEqual(shown(new BlockStream().finish(text)));
	}
});

test('blocks that were closed keep their identity until the end', () => {
	const [, text = ''] = corpus.find(([name]) => name === 'answer.md') ?? [];
	const stream = new BlockStream();
	const half = stream.update(text.slice(0, 900)).filter((block) => !block.isOpen);
	const later = stream.update(text);
	const end = stream.finish(text);
	expect(half.length).toBeGreaterThan(2);
	for (const block of half) {
		expect(later).toContain(block);
		expect(end).toContain(block);
	}
});

test('an unfinished mark of the open block is closed for the eye', () => {
	const [block] = new BlockStream().update('This is **bo');
	expect(block?.html).toBe('<p>This is <strong>bo</strong></p>\n');
});

test('a fence is open until its end is written, then closed before the answer ends', () => {
	const stream = new BlockStream();
	const [open] = stream.update('```python\nprint(1)\n');
	expect(open).toMatchObject({ kind: 'code', language: 'python', isOpen: true });
	const [closed] = stream.update('```python\nprint(1)\n```');
	expect(closed).toMatchObject({ code: 'print(1)', isOpen: false });
});

test('a text that is not a longer version of the last one starts anew', () => {
	const stream = new BlockStream();
	stream.update('one\n\ntwo\n\nthree');
	expect(stream.update('other').map((block) => block.raw)).toEqual(['other']);
});

test('headings never skip a level and begin below the page heading', () => {
	const blocks = new BlockStream().finish('### a\n\n##### b\n\n# c\n\n## d\n');
	const levels = blocks.map((block) => /^<h(\d)>/.exec(block.html)?.[1]);
	expect(levels).toEqual(['2', '3', '2', '3']);
});
