/** Flushes at most once per frame, with a minimal gap that grows when frames run late. */

const GAP_MS = 33;
const LATE_GAP_MS = 50;
const LATE_FLUSH_MS = 8;

export class FrameFlusher {
	readonly #flush: () => void;
	#request = 0;
	#lastFlush = 0;
	#gap = GAP_MS;

	constructor(flush: () => void) {
		this.#flush = flush;
	}

	schedule(): void {
		if (this.#request === 0) this.#request = requestAnimationFrame(this.#onFrame);
	}

	stop(): void {
		cancelAnimationFrame(this.#request);
		this.#request = 0;
	}

	#onFrame = (now: number): void => {
		if (now - this.#lastFlush < this.#gap) {
			this.#request = requestAnimationFrame(this.#onFrame);
			return;
		}
		this.#request = 0;
		this.#lastFlush = now;
		this.#flush();
		const cost = performance.now() - now;
		this.#gap = cost > LATE_FLUSH_MS ? LATE_GAP_MS : GAP_MS;
	};
}
