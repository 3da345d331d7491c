/** Paths of the icons, drawn on a 20 by 20 grid with a stroke of 1.6. */

export const icons = {
	arrowDown: 'M10 4v12M5 11l5 5 5-5',
	arrowUp: 'M10 16V4M5 9l5-5 5 5',
	check: 'M4 10.5l4 4 8-9',
	chevron: 'M8 5l5 5-5 5',
	close: 'M5 5l10 10M15 5L5 15',
	copy: 'M7 7V4h9v9h-3M4 7h9v9H4z',
	menu: 'M3 5h14M3 10h14M3 15h9',
	more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
	plus: 'M10 4v12M4 10h12',
	search: 'M9 4a5 5 0 100 10A5 5 0 009 4zM13 13l4 4',
} as const;

export type IconName = keyof typeof icons;
