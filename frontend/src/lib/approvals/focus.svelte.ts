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
		if (!this.leave()) root.querySelector<HTMLElement>('button, [tabindex], summary')?.focus();
	}

	/** Goes back to where the keyboard was; false where that is not on the page any more. */
	leave(): boolean {
		if (!this.#before?.isConnected) return false;
		this.#before.focus();
		return true;
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
