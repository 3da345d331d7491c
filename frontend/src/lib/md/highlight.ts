/** Colours for closed code blocks: the core and twelve languages, loaded on first use. */

import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { type SafeHtml, sanitizeCode } from './sanitize';

const LANGUAGES = { bash, css, diff, go, javascript, json, python, rust, sql, typescript };

/** Above this, colours cost more than they help. */
const LENGTH_LIMIT = 60_000;

for (const [name, language] of Object.entries({ ...LANGUAGES, xml, yaml })) {
	hljs.registerLanguage(name, language);
}

/** Safe HTML, or null when the language is unknown or the code too long. */
export function highlight(code: string, language: string): SafeHtml | null {
	if (code.length > LENGTH_LIMIT || !hljs.getLanguage(language)) return null;
	return sanitizeCode(hljs.highlight(code, { language, ignoreIllegals: true }).value);
}
