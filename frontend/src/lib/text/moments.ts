/** Moments and how far off they are, as people read them. */

/** How long something is still there, roughly: "3 days", "5 h", "12 min"; empty when it is over. */
export function formatRemaining(ms: number): string {
	const minutes = Math.ceil(ms / 60_000);
	if (minutes <= 0) return '';
	if (minutes < 60) return `${minutes} min`;
	const hours = Math.round(minutes / 60);
	return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** A moment as the reader's clock shows it: "13:52" today, with its date before. */
export function formatMoment(at: string, now: Date): string {
	const moment = new Date(at);
	if (Number.isNaN(moment.getTime())) return '';
	const isToday = moment.toDateString() === now.toDateString();
	const time = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
	const day = isToday ? {} : ({ day: 'numeric', month: 'short' } as const);
	return new Intl.DateTimeFormat('en-GB', { ...day, ...time }).format(moment);
}
