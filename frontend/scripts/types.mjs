/**
 * Writes src/lib/api/types.gen.ts from openapi.json; with `--check` only compares.
 * Only types are generated: the client is our own.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from '@hey-api/openapi-ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = join(ROOT, 'src/lib/api/types.gen.ts');

const folder = mkdtempSync(join(tmpdir(), 'flotilla-types-'));
try {
	await createClient({
		input: join(ROOT, 'openapi.json'),
		output: folder,
		plugins: ['@hey-api/typescript'],
		// Routes are called by our own client: only the shapes are wanted.
		parser: { filters: { operations: { exclude: ['/.*/'] }, orphans: true } },
		logs: { level: 'silent' },
	});
	const generated = readFileSync(join(folder, 'types.gen.ts'), 'utf8');
	if (!process.argv.includes('--check')) {
		writeFileSync(TARGET, generated);
	} else if (readFileSync(TARGET, 'utf8') !== generated) {
		process.stderr.write('types.gen.ts differs from openapi.json: run `npm run types`.\n');
		process.exitCode = 1;
	}
} finally {
	rmSync(folder, { recursive: true, force: true });
}
