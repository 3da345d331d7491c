import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const FONT_PACKAGE = 'node_modules/@fontsource-variable/atkinson-hyperlegible-next';

/** The font is redistributed with the page, so its licence (OFL) goes with it. */
function fontLicence(): Plugin {
	return {
		name: 'flotilla-font-licence',
		apply: 'build',
		generateBundle() {
			const source = readFileSync(`${FONT_PACKAGE}/LICENSE`, 'utf8');
			this.emitFile({
				type: 'asset',
				fileName: 'assets/atkinson-hyperlegible-next.OFL.txt',
				source,
			});
		},
	};
}

/** The orchestrator serves these siblings as they are, so that nothing is compressed per request. */
function precompressed(): Plugin {
	return {
		name: 'flotilla-precompressed',
		apply: 'build',
		writeBundle({ dir = 'dist' }) {
			for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
				if (!/\.(?:html|js|css|svg)$/.test(name)) continue;
				const path = join(dir, name);
				const bytes = readFileSync(path);
				writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
				writeFileSync(`${path}.br`, brotliCompressSync(bytes));
			}
		},
	};
}

export default defineConfig({
	plugins: [svelte(), fontLicence(), precompressed()],
	build: {
		target: 'es2023',
		// The size check reads the manifest; the licences of bundled packages are shipped beside them.
		manifest: true,
		license: { fileName: 'assets/licences.md' },
		// The content security policy allows no data: fonts or styles.
		assetsInlineLimit: 0,
	},
	server: { proxy: { '/api': 'http://127.0.0.1:8000' } },
	test: {
		// Files that need a page say so in their first line. Links are clicked in tests; nothing may be loaded.
		environmentOptions: {
			happyDOM: {
				settings: {
					navigation: {
						disableMainFrameNavigation: true,
						disableChildFrameNavigation: true,
						disableChildPageNavigation: true,
					},
				},
			},
		},
		include: ['tests/**/*.test.ts'],
		restoreMocks: true,
	},
	resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
});
