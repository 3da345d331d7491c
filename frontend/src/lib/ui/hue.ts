/** The hue of a server: fixed for those we know, spread by a hash for all others. */

const KNOWN: Record<string, number> = {
	calculator: 195,
	housekeeping: 300,
	gmail: 25,
	google_calendar: 255,
	outlook: 240,
	outlook_calendar: 225,
	onedrive: 265,
	notion: 75,
	webdav: 150,
};

/** Degrees on the OKLCH wheel. */
export function hueOf(server: string): number {
	if (Object.hasOwn(KNOWN, server)) return KNOWN[server] ?? 0;
	let hash = 0;
	for (const character of server) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
	return (hash * 137) % 360;
}
