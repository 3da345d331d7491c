// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Session } from '../src/lib/api/types';
import { randomId } from '../src/lib/browser/random';
import { keepDraft, readDraft } from '../src/lib/chat/drafts';
import { groupSessions, SessionList, snippetPieces } from '../src/lib/chat/sessions.svelte';
import { formatCost, formatDuration, formatSeconds, formatSize } from '../src/lib/text/format';
import { visible } from '../src/lib/text/visible';
import { hueOf } from '../src/lib/ui/hue';
import { APPROVALS, hrefOf, parseRoute, Router } from '../src/routes/router.svelte';
import { codeInFragment, codeInText } from '../src/routes/signin';
import { json, scriptedApi } from './streams';

beforeEach(() => {
	history.replaceState(null, '', '/');
	localStorage.clear();
});

afterEach(() => {
	document.body.replaceChildren();
});

test('every address the page gives out is one it understands', () => {
	expect(parseRoute(hrefOf(null))).toEqual({ name: 'new' });
	expect(parseRoute(hrefOf('a/b ü'))).toEqual({ name: 'chat', sessionId: 'a/b ü' });
	expect(parseRoute(APPROVALS)).toEqual({ name: 'approvals', approvalId: null });
	expect(parseRoute('/approvals/appr_1')).toEqual({ name: 'approvals', approvalId: 'appr_1' });
	expect(parseRoute('/approvals/a/b')).toBeNull();
	expect(parseRoute('/elsewhere')).toBeNull();
	expect(parseRoute('/chat/%E0%A4%A')).toBeNull();
});

/** Clicks a link and tells whether the page kept the click for itself. */
function click(attributes: Record<string, string>, init: MouseEventInit = {}): boolean {
	const link = document.createElement('a');
	for (const [name, value] of Object.entries(attributes)) link.setAttribute(name, value);
	document.body.append(link);
	const event = new MouseEvent('click', { bubbles: true, cancelable: true, ...init });
	link.dispatchEvent(event);
	return event.defaultPrevented;
}

test('plain clicks on our own places stay in the page', () => {
	const router = new Router();
	const stop = router.start();
	expect(click({ href: '/chat/one' })).toBe(true);
	expect(router.route).toEqual({ name: 'chat', sessionId: 'one' });
	expect(location.pathname).toBe('/chat/one');
	stop();
});

test('other clicks are left to the browser', () => {
	const stop = new Router().start();
	expect(click({ href: '/chat/one' }, { ctrlKey: true })).toBe(false);
	expect(click({ href: '/chat/one' }, { button: 1 })).toBe(false);
	expect(click({ href: '/chat/one', target: '_blank' })).toBe(false);
	expect(click({ href: '/api/auth/me' })).toBe(false);
	expect(click({ href: 'https://example.org/chat/one' })).toBe(false);
	stop();
});

test('a new chat that was stored changes its address without a visit', () => {
	const router = new Router();
	router.rename('/chat/new-id');
	expect(router.route).toEqual({ name: 'chat', sessionId: 'new-id' });
	expect(router.visit).toBe(0);
	expect(location.pathname).toBe('/chat/new-id');
});

test('a sign-in code is read from a link, from its fragment and as it is', () => {
	expect(codeInFragment('#sign-in=a%2Bb')).toBe('a+b');
	expect(codeInFragment('#other')).toBeNull();
	expect(codeInFragment('#sign-in=')).toBeNull();
	expect(codeInText(' http://127.0.0.1:8000/#sign-in=abc \n')).toBe('abc');
	expect(codeInText(' abc ')).toBe('abc');
});

function session(id: string, updated_at: string, pinned = false): Session {
	return { id, title: id, pinned, created_at: updated_at, updated_at };
}

test('chats are grouped by the days of the reader', () => {
	const now = new Date(2026, 10, 20, 0, 30);
	const at = (day: number, hour: number) => new Date(2026, 10, day, hour).toISOString();
	const sessions = [
		session('today', at(20, 0)),
		session('late yesterday', at(19, 23)),
		session('early yesterday', at(19, 1)),
		session('pinned', at(1, 1), true),
		session('week', at(13, 9)),
		session('older', at(12, 9)),
	];
	const ids = groupSessions(sessions, now, false).map(([name, members]) => [
		name,
		members.map(({ id }) => id),
	]);
	expect(ids).toEqual([
		['pinned', ['pinned']],
		['today', ['today']],
		['yesterday', ['late yesterday', 'early yesterday']],
		['week', ['week']],
		['older', ['older']],
	]);
	expect(groupSessions(sessions, now, true)[0]?.[1]).toHaveLength(6);
	expect(groupSessions([], now, true)).toEqual([]);
});

test('a snippet is cut at its hits', () => {
	expect(snippetPieces('a \u0002b\u0003 c \u0002d\u0003')).toEqual([
		{ text: 'a ', isHit: false },
		{ text: 'b', isHit: true },
		{ text: ' c ', isHit: false },
		{ text: 'd', isHit: true },
	]);
	expect(snippetPieces('plain')).toEqual([{ text: 'plain', isHit: false }]);
	expect(snippetPieces('\u0002open')).toEqual([{ text: 'open', isHit: true }]);
});

test('drafts are kept per chat', () => {
	keepDraft(null, 'new');
	keepDraft('a', 'old');
	expect([readDraft(null), readDraft('a'), readDraft('b')]).toEqual(['new', 'old', '']);
	keepDraft('a', '');
	expect(localStorage.length).toBe(1);
});

test('a search that does not find the open chat leaves its title known', async () => {
	const { api } = scriptedApi(
		() => json({ items: [{ id: 's', title: 'Tax' }], next_cursor: null }),
		() => json({ items: [], next_cursor: null }),
	);
	const list = new SessionList(api);
	await list.refresh();
	await list.search('nothing');
	expect(list.items).toEqual([]);
	expect(list.titles.get('s')).toBe('Tax');
});

test('numbers read as people write them', () => {
	expect([3.2, 412, 1000, 9949, 9951, 59_400, 59_600, 125_000].map(formatDuration)).toEqual([
		'3 ms',
		'412 ms',
		'1.0 s',
		'9.9 s',
		'10 s',
		'59 s',
		'1 min',
		'2 min 5 s',
	]);
	expect([100, 1400, 61_000].map(formatSeconds)).toEqual(['1 s', '1 s', '1 min 1 s']);
	expect([12, 4210, 99_000, 1_200_000].map(formatCost)).toEqual([
		'$0.000012',
		'$0.00421',
		'$0.099',
		'$1.20',
	]);
	expect([9, 999, 1234, 56_700_000].map(formatSize)).toEqual(['9 B', '999 B', '1.2 kB', '57 MB']);
});

test('what cannot be seen is named', () => {
	expect(visible('a\u202egro.elpmaxe\u200b')).toBe('a\\u{202e}gro.elpmaxe\\u{200b}');
	expect(visible('two\n\tlines, 👩\u200d💻, ÄÖ, مى\u200cخواهم')).not.toContain('\\u');
	expect(visible('\u{e0041}\u0000')).toBe('\\u{e0041}\\u{0}');
});

test('random ids are UUIDs, also where the browser makes none', () => {
	const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
	expect(randomId()).toMatch(pattern);
	const own = Object.getOwnPropertyDescriptor(crypto, 'randomUUID');
	Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
	const made = [randomId(), randomId()];
	if (own) Object.defineProperty(crypto, 'randomUUID', own);
	else Reflect.deleteProperty(crypto, 'randomUUID');
	expect(made[0]).toMatch(pattern);
	expect(made[0]).not.toBe(made[1]);
});

test('a server always has the same hue', () => {
	expect(hueOf('gmail')).toBe(25);
	expect(hueOf('my_own')).toBe(hueOf('my_own'));
	expect(hueOf('constructor')).toBeLessThan(360);
});
