/** What the page says of files; loaded with the parts that show them, apart from `strings`. */

import { plural } from './plural';

export const files = {
	tray: 'Attached files',
	list: 'Files',
	pictures: 'Pictures',
	sounds: 'Sounds',
	offline: 'Not uploaded: Flotilla is not answering.',
	waiting: 'waiting',
	progress: (fraction: number) => `${Math.floor(100 * fraction)} %`,
	uploading: (name: string) => `Uploading ${name}`,
	retry: 'Retry',
	retryFile: (name: string) => `Retry ${name}`,
	removeFile: (name: string) => `Remove ${name}`,
	settled: (count: number) => `${plural(count, 'file', 'files')} attached`,
	failed: (names: string[]) => `Not attached: ${names.join(', ')}`,
	folders: 'Folders cannot be attached; the files in them can.',
	unnamed: 'file',
	kindless: 'file',
	open: (name: string) => `Open ${name}`,
	download: (name: string) => `Download ${name}`,
	downloadShort: 'Download',
	deleted: 'deleted',
	deletedFile: (name: string) => (name ? `${name}, deleted` : 'A file, deleted'),
	loading: 'Loading',
	fullResult: 'Full result',
	expires: (days: number) => (days < 1 ? 'expires within a day' : `expires in ${days} d`),
	viewer: 'Image',
	close: 'Close',
	previous: 'Previous image',
	next: 'Next image',
	position: (index: number, all: number) => `${index} of ${all}`,
	asTable: 'Show as table',
	hideTable: 'Hide table',
	tableOf: (name: string) => `Table of ${name}`,
	noTable: 'This holds no table.',
	tableFailed: 'The file could not be loaded. Try again.',
	rows: (shown: number, all: number) =>
		shown < all
			? `First ${shown.toLocaleString('en')} of ${all.toLocaleString('en')} rows`
			: plural(all, 'row', 'rows'),
} as const;
