/** Small things kept in the browser. Storage may be blocked or full: then nothing is kept. */

const PREFIX = 'flotilla.';

export function readStored(key: string): string | null {
	try {
		return localStorage.getItem(PREFIX + key);
	} catch {
		return null;
	}
}

/** Null removes the key. */
export function store(key: string, value: string | null): void {
	try {
		if (value === null) localStorage.removeItem(PREFIX + key);
		else localStorage.setItem(PREFIX + key, value);
	} catch {
		// Blocked or full: the page works without.
	}
}
