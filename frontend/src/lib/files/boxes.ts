/** The boxes in which pictures stand: they are there before the picture is. */

export interface Box {
	width: number;
	height: number;
}

/** Beside a message of the owner, and in an answer. */
export const MOST = {
	small: { width: 240, height: 112 },
	large: { width: 320, height: 216 },
} as const;
/** What a finger needs. */
export const LEAST = 44;

/** As large as the picture, or as fits into `most`; null where nobody noted its size. */
export function boxOf(
	{ width, height }: { width?: number | null; height?: number | null },
	most: Box,
): Box | null {
	if (!width || !height) return null;
	const scale = Math.min(1, most.width / width, most.height / height);
	return {
		width: Math.max(LEAST, Math.round(width * scale)),
		height: Math.max(LEAST, Math.round(height * scale)),
	};
}
