/** Text as it is, also where it would rather not be seen. */

/** Line ends and tabs are shown anyway; the joiners belong to emoji and to Persian words. */
const HARMLESS = new Set(['\n', '\t', '\u200c', '\u200d']);

/**
 * Names characters that cannot be seen or that turn the direction of others, as `\u{202e}`: what
 * is approved must be what is read.
 */
export function visible(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => {
		if (HARMLESS.has(character)) return character;
		return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
	});
}
