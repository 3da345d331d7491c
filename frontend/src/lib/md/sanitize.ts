/**
 * The only way foreign HTML reaches the page.
 *
 * An allow-list: no id, name, class, style, data-* or aria-*, so that an answer can neither hijack
 * labels nor cover the page, and no remote image, so that it cannot send anything out on its own.
 */

import DOMPurify, { type Config } from 'dompurify';
import { strings } from '../text/strings';

const TAGS =
	`a b blockquote br code dd del details dl dt em h2 h3 h4 h5 h6 hr i img input kbd li mark
	ol p pre s strong sub summary sup table tbody td th thead tr ul`.split(/\s+/);
const ATTRIBUTES = ['href', 'src', 'alt', 'title', 'align', 'start', 'type', 'checked', 'disabled'];

const ANSWER: Config = {
	ALLOWED_TAGS: TAGS,
	ALLOWED_ATTR: ATTRIBUTES,
	// Every other value would have to look like an address.
	ADD_URI_SAFE_ATTR: ['align', 'start', 'type', 'checked', 'disabled'],
	ALLOW_DATA_ATTR: false,
	ALLOW_ARIA_ATTR: false,
	RETURN_TRUSTED_TYPE: true,
	ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,|blob:)/i,
};

const CODE: Config = {
	ALLOWED_TAGS: ['span'],
	ALLOWED_ATTR: ['class'],
	ALLOW_DATA_ATTR: false,
	ALLOW_ARIA_ATTR: false,
	RETURN_TRUSTED_TYPE: true,
};

/** A `TrustedHTML` where the browser knows those, which Svelte types as a string. */
export type SafeHtml = string;

const purifier = DOMPurify(window);

purifier.addHook('afterSanitizeAttributes', (node) => {
	if (node instanceof HTMLAnchorElement) finishLink(node);
	else if (node instanceof HTMLImageElement) finishImage(node);
	else if (node instanceof HTMLInputElement) finishCheckbox(node);
});

/** Safe HTML of a rendered block. */
export function sanitizeAnswer(html: string): SafeHtml {
	return purifier.sanitize(html, ANSWER) as unknown as SafeHtml;
}

/** Safe HTML of highlighted code: spans with a class and nothing else. */
export function sanitizeCode(html: string): SafeHtml {
	return purifier.sanitize(html, CODE) as unknown as SafeHtml;
}

/** A link opens beside the chat, learns nothing about it, and says where it leads. */
function finishLink(link: HTMLAnchorElement): void {
	const address = link.getAttribute('href') ?? '';
	if (!/^(?:https?|mailto):/i.test(address)) {
		link.replaceWith(...link.childNodes);
		return;
	}
	link.target = '_blank';
	link.rel = 'noopener noreferrer';
	link.title = address.startsWith('mailto:') ? address.slice(7) : hostOf(address);
}

function finishImage(image: HTMLImageElement): void {
	const address = image.getAttribute('src') ?? '';
	if (/^(?:data:image\/|blob:)/i.test(address)) return;
	image.replaceWith(image.alt ? `[${image.alt}]` : '');
}

/** Task lists bring checkboxes; no other input belongs into an answer. */
function finishCheckbox(input: HTMLInputElement): void {
	if (input.type !== 'checkbox') {
		input.remove();
		return;
	}
	input.disabled = true;
	input.ariaLabel = input.checked ? strings.markdown.done : strings.markdown.open;
}

function hostOf(address: string): string {
	return URL.canParse(address) ? new URL(address).host : address;
}
