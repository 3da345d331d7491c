/** Arguments as a form: plain values get fields of their own, everything nested is JSON. */

import { parseExactly } from '../api/exact';
import type { JsonObject } from '../api/types';
import { gate } from '../text/gate';

export type FieldKind = 'text' | 'number' | 'switch' | 'lines' | 'json';

export interface Field {
	readonly name: string;
	readonly kind: FieldKind;
	/** As it is written; of a switch `true` or `false`. */
	text: string;
	/** What is wrong with it, in a sentence. */
	problem: string;
}

export function fieldsOf(values: JsonObject): Field[] {
	return Object.entries(values).map(([name, value]) => {
		const kind = kindOf(value);
		return { name, kind, text: textOf(kind, value), problem: '' };
	});
}

/** The arguments that the fields hold, or null after each wrong field was told its problem. */
export function readFields(fields: Field[]): JsonObject | null {
	const entries = fields.map((field) => {
		try {
			const value = valueIn(field);
			field.problem = '';
			return [field.name, value] as const;
		} catch {
			const { invalid } = gate.approval;
			field.problem = (field.kind === 'number' ? invalid.number : invalid.json)(field.name);
			return null;
		}
	});
	const sound = entries.filter((entry) => entry !== null);
	return sound.length === fields.length ? Object.fromEntries(sound) : null;
}

/** Whether two JSON values are the same; keys in any order. */
export function isSame(one: unknown, other: unknown): boolean {
	if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) {
		return Object.is(one, other);
	}
	if (Array.isArray(one) !== Array.isArray(other)) return false;
	const [left, right] = [one as JsonObject, other as JsonObject];
	const names = Object.keys(left);
	if (names.length !== Object.keys(right).length) return false;
	return names.every((name) => Object.hasOwn(right, name) && isSame(left[name], right[name]));
}

function kindOf(value: unknown): FieldKind {
	if (typeof value === 'string') return 'text';
	if (isNumber(value)) return 'number';
	if (typeof value === 'boolean') return 'switch';
	return isLines(value) ? 'lines' : 'json';
}

function isNumber(value: unknown): boolean {
	return Number.isFinite(value) || (JSON.isRawJSON?.(value) ?? false);
}

/** A list of addresses is easier to change line by line; empty lines would be lost. */
function isLines(value: unknown): value is string[] {
	if (!Array.isArray(value) || value.length === 0) return false;
	return value.every((item) => typeof item === 'string' && /^\S(?:[^\n\r]*\S)?$/.test(item));
}

function textOf(kind: FieldKind, value: unknown): string {
	if (kind === 'text') return String(value);
	if (kind === 'lines') return (value as string[]).join('\n');
	return JSON.stringify(value, null, 2);
}

/** Raises where the text is no value of its kind. */
function valueIn({ kind, text }: Field): unknown {
	if (kind === 'text') return text;
	if (kind === 'lines') return linesOf(text);
	const value = parseExactly(text);
	if (kind === 'number' && !isNumber(value)) throw new TypeError('no number');
	return value;
}

function linesOf(text: string): string[] {
	return text
		.split('\n')
		.map((line) => line.trim())
		.filter(Boolean);
}
