/** Brings the keyboard back to where it was before it came into a card that has closed. */

import { tick } from 'svelte';
import type { Attachment } from 'svelte/attachments';

export class FocusReturn {
	#root: HTMLElement | null = null;
	#before: HTMLElement | null = null;

	/** Goes on what holds the card and stays when it closes. */
	readonly attach: Attachment<HTMLElement> = (root) => {
		const remember = ({ relatedTarget }: FocusEvent) => {
			const from = relatedTarget as HTMLElement | null;
			if (!from || !root.contains(from)) this.#before = from;
		};
		this.#root = root;
		root.addEventListener('focusin', remember);
		return () => {
			root.removeEventListener('focusin', remember);
			this.#root = null;
		};
	};

	/** To be called before the card is taken off the page; moves nothing when it had no focus. */
	async closing(): Promise<void> {
		const root = this.#root;
		if (!root?.contains(document.activeElement)) return;
		await tick();
		const before = this.#before?.isConnected ? this.#before : null;
		(before ?? root.querySelector<HTMLElement>('button, [tabindex]'))?.focus();
	}
}

/** Watches a card from its component's script, where effects run before the page is changed. */
export function returnFocus(isOpen: () => boolean): FocusReturn {
	const focus = new FocusReturn();
	let wasOpen = false;
	$effect.pre(() => {
		const open = isOpen();
		if (wasOpen && !open) void focus.closing();
		wasOpen = open;
	});
	return focus;
}
