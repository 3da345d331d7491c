/** What is said of a file that is deleted soon. */

import { files as words } from '../text/files';
import { formatSize } from '../text/format';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Further off it is nothing to think of. */
const SOON_DAYS = 7;

/** "expires in 6 d", to the nearest day; empty where it is kept or far off. */
export function expiryNote(expiresAt: string | null | undefined, now: Date): string {
	if (!expiresAt) return '';
	const days = (new Date(expiresAt).getTime() - now.getTime()) / DAY_MS;
	if (days > SOON_DAYS) return '';
	return words.expires(days < 1 ? 0 : Math.round(days));
}

/** "12 kB, expires in 6 d". */
export function sizeNote(
	{ size_bytes, expires_at }: { size_bytes: number; expires_at?: string | null | undefined },
	now: Date,
): string {
	const expiry = expiryNote(expires_at, now);
	return expiry ? `${formatSize(size_bytes)}, ${expiry}` : formatSize(size_bytes);
}
