/** A part of the page that is loaded apart from its shell. */

export class Lazy<Module> {
	/** Null until it is here. */
	module = $state.raw<Module | null>(null);
	hasFailed = $state(false);
	readonly #open: () => Promise<Module>;

	constructor(open: () => Promise<Module>) {
		this.#open = open;
	}

	/** Raises nothing; what failed is tried again by the next call. */
	async load(): Promise<void> {
		try {
			this.module ??= await this.#open();
			this.hasFailed = false;
		} catch {
			this.hasFailed = true;
		}
	}
}
