/** JSON whose numbers stay as they are written, where a number of JavaScript would be another. */

declare global {
	interface JSON {
		/** Younger than the other two; a browser without them rounds. */
		rawJSON?: (text: string) => object;
		isRawJSON?: (value: unknown) => boolean;
	}
}

/** Numbers that would be rounded or spelled otherwise come as `JSON.rawJSON`, to be written again as they were. */
export function parseExactly(text: string) {
	return JSON.parse(text, (_key: string, value: unknown, ...context: { source?: string }[]) => {
		const source = context[0]?.source;
		const isExact = !source || !Number.isFinite(value) || String(value) === source;
		return isExact ? value : (JSON.rawJSON?.(source) ?? value);
	});
}
