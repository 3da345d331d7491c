/**
 * Markdown that arrives in pieces, as a list of blocks.
 *
 * Blocks before the last one are closed: they are rendered once and keep their identity. Only the
 * tail is lexed again, so the cost of a flush follows the open block and not the whole answer.
 * What closing early can get wrong (reference links, late list items) `finish` puts right.
 */

import { Marked, type Token, type Tokens } from 'marked';
import remend from 'remend';

export interface Block {
	/** Stable while the block lives: its place in the text. */
	key: number;
	kind: 'html' | 'table' | 'code';
	raw: string;
	/** Unsanitised HTML; empty for code. */
	html: string;
	/** The text of a code block. */
	code: string;
	language: string;
	isOpen: boolean;
	/** The heading level in force after this block. */
	level: number;
}

/** The sanitiser drops these anyway; dropped here, the content policy has nothing to report. */
const REPORTED =
	/<style\b[\s\S]*?(?:<\/style>|$)|<base\b[^>]*>|\sstyle\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)/gi;

const marked = new Marked({ gfm: true, breaks: false });

marked.use({
	renderer: {
		heading({ tokens, depth }) {
			const level = Math.max(depth, FIRST_LEVEL);
			return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
		},
		html({ text }) {
			return text.replace(REPORTED, '');
		},
	},
});

/** The answer lives under the page's own h1. */
const FIRST_LEVEL = 2;

export class BlockStream {
	#text = '';
	#openStart = 0;
	/** Complete lines up to here were looked at already. */
	#stableEnd = 0;
	#closed: Block[] = [];
	#blocks: Block[] = [];
	#isFinished = false;

	get blocks(): Block[] {
		return this.#blocks;
	}

	/** Takes the whole text so far; anything but a longer version of it starts anew. */
	update(text: string): Block[] {
		if (text === this.#text && !this.#isFinished) return this.#blocks;
		if (!text.startsWith(this.#text)) this.#reset();
		this.#isFinished = false;
		this.#text = text;
		this.#closeSettled();
		this.#blocks = [...this.#closed, ...this.#openBlocks()];
		return this.#blocks;
	}

	/** One parse of everything; blocks that are already right stay as they are. */
	finish(text: string): Block[] {
		const known = new Map(this.#blocks.map((block) => [block.key, block]));
		this.#reset();
		this.#text = text;
		this.#isFinished = true;
		const tokens = marked.lexer(text);
		const blocks: Block[] = [];
		for (const { token, start } of visible(placed(tokens, 0))) {
			const block = toBlock(token, start, false, blocks.at(-1));
			const before = known.get(start);
			blocks.push(before && isSame(before, block) ? before : block);
		}
		this.#blocks = blocks;
		return this.#blocks;
	}

	#reset(): void {
		this.#text = '';
		this.#openStart = 0;
		this.#stableEnd = 0;
		this.#closed = [];
	}

	/** A block is settled when a later one has begun and its first line is complete. */
	#closeSettled(): void {
		const stableEnd = this.#text.lastIndexOf('\n') + 1;
		if (stableEnd <= this.#stableEnd) return;
		this.#stableEnd = stableEnd;
		const tail = this.#text.slice(this.#openStart, stableEnd);
		const tokens = placed(marked.lexer(tail), this.#openStart);
		const lastVisible = tokens.findLastIndex(({ token }) => isVisible(token));
		for (const { token, start } of tokens.slice(0, Math.max(lastVisible, 0))) {
			if (isVisible(token)) {
				this.#closed.push(toBlock(token, start, false, this.#closed.at(-1)));
			}
			this.#openStart = start + token.raw.length;
		}
	}

	#openBlocks(): Block[] {
		const tail = this.#text.slice(this.#openStart);
		const tokens = visible(placed(marked.lexer(tail), this.#openStart));
		const blocks: Block[] = [];
		for (const [index, { token, start }] of tokens.entries()) {
			const isLast = index === tokens.length - 1;
			const above = blocks.at(-1) ?? this.#closed.at(-1);
			blocks.push(isLast ? openBlock(token, start, above) : toBlock(token, start, true, above));
		}
		return blocks;
	}
}

interface Placed {
	token: Token;
	start: number;
}

function placed(tokens: Token[], from: number): Placed[] {
	let start = from;
	return tokens.map((token) => {
		const place = { token, start };
		start += token.raw.length;
		return place;
	});
}

function isVisible(token: Token): boolean {
	return token.type !== 'space' && token.type !== 'def';
}

function visible(tokens: Placed[]): Placed[] {
	return tokens.filter(({ token }) => isVisible(token));
}

function isSame(before: Block, block: Block): boolean {
	return !before.isOpen && before.raw === block.raw && before.html === block.html;
}

/** The last block: its unfinished marks are closed for the eye, and a fence may already be shut. */
function openBlock(token: Token, start: number, above: Block | undefined): Block {
	if (token.type === 'code') return toBlock(token, start, !isClosedFence(token.raw), above);
	const [repaired, ...others] = marked.lexer(remend(token.raw)).filter(isVisible);
	const shown = repaired && others.length === 0 ? repaired : token;
	return { ...toBlock(shown, start, true, above), raw: token.raw };
}

function isClosedFence(raw: string): boolean {
	const fence = /^ {0,3}(`{3,}|~{3,})/.exec(raw)?.[1];
	if (!fence) return false;
	const last = raw.trimEnd().split('\n').at(-1)?.trim() ?? '';
	return raw.includes('\n') && last.startsWith(fence) && new Set(last).size === 1;
}

function toBlock(token: Token, key: number, isOpen: boolean, above: Block | undefined): Block {
	const level = levelAfter(token, above?.level ?? FIRST_LEVEL - 1);
	const block = { key, raw: token.raw, html: '', code: '', language: '', isOpen, level };
	if (token.type === 'code') {
		const { text, lang } = token as Tokens.Code;
		return { ...block, kind: 'code', code: text, language: lang?.split(/\s/)[0] ?? '' };
	}
	const kind = token.type === 'table' ? 'table' : 'html';
	const shown = token.type === 'heading' ? { ...token, depth: level } : token;
	return { ...block, kind, html: marked.parser([shown as Token]) };
}

/** Models begin with any heading they like; a reader's outline must not skip a level. */
function levelAfter(token: Token, above: number): number {
	if (token.type !== 'heading') return above;
	const { depth } = token as Tokens.Heading;
	return Math.min(depth + FIRST_LEVEL - 1, above + 1, 6);
}
