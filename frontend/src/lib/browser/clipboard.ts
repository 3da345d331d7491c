/** Copying text. On plain http on a local network browsers offer no clipboard: then false. */

export async function copyText(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		return false;
	}
}
