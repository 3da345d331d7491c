/** Numbers as people read them. */

const SECOND_MS = 1000;

/** "412 ms", "3.1 s", "12 s", "2 min 5 s". */
export function formatDuration(ms: number): string {
	if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
	const seconds = ms / SECOND_MS;
	if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
	if (seconds < 59.5) return `${Math.round(seconds)} s`;
	const whole = Math.round(seconds);
	const rest = whole % 60;
	return `${Math.floor(whole / 60)} min${rest ? ` ${rest} s` : ''}`;
}

/** Whole seconds, at least one: for thinking, where precision would be noise. */
export function formatSeconds(ms: number): string {
	return formatDuration(Math.max(1, Math.round(ms / SECOND_MS)) * SECOND_MS).replace('.0', '');
}

/** Micro-dollars with as many digits as tell something: "$0.0042", "$1.20". */
export function formatCost(microusd: number): string {
	const dollars = microusd / 1_000_000;
	if (dollars >= 0.1) return `$${dollars.toFixed(2)}`;
	return `$${dollars.toFixed(6).replace(/0{1,4}$/, '')}`;
}

export function formatSize(bytes: number): string {
	const units = ['B', 'kB', 'MB', 'GB'];
	let value = bytes;
	let unit = 0;
	while (value >= 999.5 && unit < units.length - 1) {
		value /= 1000;
		unit += 1;
	}
	return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
