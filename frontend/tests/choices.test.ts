// @vitest-environment happy-dom
import { flushSync, mount, unmount } from 'svelte';
import { expect, test, vi } from 'vitest';
import { Ask } from '../src/lib/approvals/ask.svelte';
import Choices from '../src/lib/approvals/Choices.svelte';
import { gate } from '../src/lib/text/gate';
import { approval } from './asks';

/** The ways to approve that the menu offers for such a call. */
function scopesOffered(more: Parameters<typeof approval>[0]): string[] {
	const target = document.createElement('div');
	const [onApprove, onDeny] = [vi.fn(), vi.fn()];
	const props = { ask: new Ask(approval(more)), onApprove, onEdit: null, onDeny };
	const choices = mount(Choices, { target, props });
	const opener = target.querySelector<HTMLElement>(`[aria-label="${gate.approval.more}"]`);
	flushSync(() => opener?.click());
	const labels = [...target.querySelectorAll('[role="menuitem"]')].map(
		({ textContent }) => textContent?.trim() ?? '',
	);
	void unmount(choices);
	return labels;
}

const { session, always } = gate.approval.scopes;

test.each([
	['a chat', { origin: 'turn' }, [session, always]],
	['a program of the owner', { origin: 'api' }, [always]],
	['a program that has its own way to the server', { origin: 'client' }, []],
	['a chat that asks every time', { origin: 'turn', level: 3 }, []],
] as const)('%s is offered the scopes the orchestrator takes', (_, more, scopes) => {
	expect(scopesOffered(more)).toEqual(scopes);
});
