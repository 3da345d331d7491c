/** The renderer and the highlighter arrive after the shell; until then text is shown as it is. */

type Renderer = typeof import('./renderer');
type Highlighter = typeof import('./highlight');

class Loader {
	renderer = $state.raw<Renderer | null>(null);
	#highlighter: Promise<Highlighter> | null = null;

	/** Raises nothing: without a renderer answers stay readable as text. */
	async load(): Promise<void> {
		try {
			this.renderer ??= await import('./renderer');
		} catch {
			// The next answer tries again.
		}
	}

	highlighter(): Promise<Highlighter> {
		this.#highlighter ??= import('./highlight');
		return this.#highlighter;
	}
}

/** One per page, like the modules it loads. */
export const loader = new Loader();
