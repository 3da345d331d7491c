/** Following the end of the answer, but only while the reader is there. */

import type { Attachment } from 'svelte/attachments';

const NEAR_PX = 80;
const UPWARD_KEYS = new Set(['ArrowUp', 'PageUp', 'Home']);

export class StickToBottom {
	isPinned = $state(true);
	#scroller: HTMLElement | null = null;
	#lastTop = 0;
	#touchY = 0;
	/** The reader has just opened or closed something: it must not slip away. */
	#isHeld = false;

	/** Goes on the element that scrolls; its only child is what grows. */
	readonly attach: Attachment<HTMLElement> = (scroller) => {
		this.#scroller = scroller;
		// The DOM is written after our state: only the new size tells where the end is now.
		const observer = new ResizeObserver(() => this.#follow());
		observer.observe(scroller);
		if (scroller.firstElementChild) observer.observe(scroller.firstElementChild);
		const listeners: [string, (event: Event) => void][] = [
			['scroll', () => this.#scrolled()],
			['wheel', (event) => this.#wheel(event as WheelEvent)],
			['touchstart', (event) => this.#touch(event as TouchEvent, true)],
			['touchmove', (event) => this.#touch(event as TouchEvent, false)],
			['keydown', (event) => this.#key(event as KeyboardEvent)],
			['click', (event) => this.#click(event)],
		];
		for (const [type, listener] of listeners) {
			scroller.addEventListener(type, listener, { passive: true });
		}
		return () => {
			observer.disconnect();
			for (const [type, listener] of listeners) scroller.removeEventListener(type, listener);
			this.#scroller = null;
		};
	};

	/** Goes to the end and stays there. */
	jump(): void {
		this.isPinned = true;
		this.#follow();
	}

	/** Runs a change above the reader's place without moving that place. */
	async keepPlace(change: () => Promise<void>): Promise<void> {
		const anchor = this.#scroller?.querySelector('article');
		const before = anchor?.getBoundingClientRect().top ?? 0;
		await change();
		if (!anchor?.isConnected || this.isPinned) return;
		const moved = anchor.getBoundingClientRect().top - before;
		if (this.#scroller) this.#scroller.scrollTop += moved;
	}

	#follow(): void {
		const scroller = this.#scroller;
		if (!scroller || !this.isPinned) return;
		if (this.#isHeld) {
			this.#isHeld = false;
			this.isPinned = distanceToEnd(scroller) <= NEAR_PX;
			return;
		}
		scroller.scrollTop = scroller.scrollHeight;
		this.#lastTop = scroller.scrollTop;
	}

	#scrolled(): void {
		const scroller = this.#scroller;
		if (!scroller) return;
		const distance = distanceToEnd(scroller);
		const isDownward = scroller.scrollTop > this.#lastTop;
		if (isDownward && distance <= NEAR_PX) this.isPinned = true;
		// A dragged scroll bar sends no wheel, touch or key.
		if (!isDownward && distance > NEAR_PX && scroller.scrollTop < this.#lastTop) {
			this.isPinned = false;
		}
		this.#lastTop = scroller.scrollTop;
	}

	#wheel(event: WheelEvent): void {
		if (event.deltaY < 0) this.#leave();
	}

	#touch(event: TouchEvent, isStart: boolean): void {
		const y = event.touches[0]?.clientY ?? 0;
		if (!isStart && y > this.#touchY + 2) this.#leave();
		this.#touchY = y;
	}

	#key(event: KeyboardEvent): void {
		if (UPWARD_KEYS.has(event.key)) this.#leave();
	}

	#click(event: Event): void {
		this.#isHeld = (event.target as Element).closest('[aria-expanded]') !== null;
	}

	/** Where nothing can scroll, nobody can leave. */
	#leave(): void {
		const scroller = this.#scroller;
		if (scroller && scroller.scrollHeight > scroller.clientHeight) this.isPinned = false;
	}
}

function distanceToEnd(scroller: HTMLElement): number {
	return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
}
