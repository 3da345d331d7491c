/** The code of a one-time link: out of the address, or out of what somebody pasted. */

const MARK = 'sign-in=';

/** The code in a fragment such as `#sign-in=CODE`, or null. */
export function codeInFragment(fragment: string): string | null {
	const start = fragment.indexOf(MARK);
	if (start === -1) return null;
	try {
		return decodeURIComponent(fragment.slice(start + MARK.length)) || null;
	} catch {
		return null;
	}
}

/** Accepts a whole link and a bare code. */
export function codeInText(text: string): string {
	return codeInFragment(text.trim()) ?? text.trim();
}
