/** What has to do with files: loaded when there are some, apart from the shell. */

export { FileRoutes } from '../api/files';
export { files as words } from '../text/files';
export { catchDrops, type OnFiles, takePasted } from './incoming';
export { default as ShownFiles } from './ShownFiles.svelte';
export { openTray } from './stored';
export { default as TrayView } from './TrayView.svelte';
