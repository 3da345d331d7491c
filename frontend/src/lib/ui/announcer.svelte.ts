/** What a screen reader is told. One quiet region speaks for the whole page. */

import { createContext } from 'svelte';

export class Announcer {
	text = $state('');

	say(text: string): void {
		// The same words twice would not be read again: an invisible difference makes them new.
		this.text = text === this.text ? `${text}\u00a0` : text;
	}
}

export const [getAnnouncer, setAnnouncer] = createContext<Announcer>();
