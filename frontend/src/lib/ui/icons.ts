/** Paths of the icons, drawn on a 20 by 20 grid with a stroke of 1.6. */

export const icons = {
	arrowDown: 'M10 4v12M5 11l5 5 5-5',
	arrowLeft: 'M16 10H4M9 5l-5 5 5 5',
	arrowRight: 'M4 10h12M11 5l5 5-5 5',
	check: 'M4 10.5l4 4 8-9',
	chevronDown: 'M6 8l4 4 4-4',
	close: 'M5 5l10 10M15 5L5 15',
	download: 'M10 3v10M6 9l4 4 4-4M4 17h12',
	file: 'M5 2.5h6l4 4v11H5zM11 2.5v4h4',
	menu: 'M3 5h14M3 10h14M3 15h9',
	more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
	plus: 'M10 4v12M4 10h12',
	quote: 'M9 6c-3 .6-4 2.2-4 5v3h4v-4H6.5M16 6c-3 .6-4 2.2-4 5v3h4v-4h-2.5',
	search: 'M9 4a5 5 0 100 10A5 5 0 009 4zM13 13l4 4',
} as const;

export type IconName = keyof typeof icons;
