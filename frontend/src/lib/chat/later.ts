/** The parts that are loaded once the page has started, or when they are needed before. */

import { Lazy } from '../ui/lazy.svelte';

export const opened = new Lazy(() => import('./opened'));
