/** One call that waits, or waited, for the owner: told by an event of a turn or by the inbox. */

import type { Approval, EventOf } from '../api/types';

export class Ask {
	record = $state.raw<Approval>() as Approval;
	isDeciding = $state(false);
	/** Why the last try to decide did not count; empty when there was none. */
	failure = $state('');

	constructor(record: Approval) {
		this.record = record;
	}

	get id(): string {
		return this.record.id;
	}

	get isPending(): boolean {
		return this.record.state === 'pending';
	}

	/** Approved for somebody who is no turn of a chat: the orchestrator runs it itself. */
	get isDue(): boolean {
		const { state, origin, outcome } = this.record;
		return state === 'approved' && origin !== 'turn' && !outcome;
	}

	/** The tool without its server. */
	get name(): string {
		return bareName(this.record.server, this.record.tool);
	}

	/** Takes a newer record. A decision is final: an answer that was under way says nothing new. */
	learn(record: Approval): void {
		if (this.isPending || record.state !== 'pending') this.record = record;
	}

	/** What the log of the turn says of the decision. */
	resolve({ decision, by, arguments: changed, reason }: Omit<Resolution, 'approval_id'>): void {
		if (!this.isPending) return;
		this.record = {
			...this.record,
			state: decision,
			decided_by: by,
			arguments_to_run: changed ?? null,
			decision_reason: reason ?? null,
		};
	}
}

export type Resolution = Omit<EventOf<'approval_resolved'>, 'type'>;

/** The event names neither title nor chat; the inbox knows them. */
export function askOfEvent(event: EventOf<'approval_requested'>): Ask {
	const { approval_id, type, ...rest } = event;
	const server = serverOf(event.tool);
	return new Ask({
		...rest,
		id: approval_id,
		origin: 'turn',
		state: 'pending',
		server,
		title: readable(bareName(server, event.tool)),
		client: '',
		created_at: '',
	});
}

/** `effects__send_message` belongs to `effects`. */
export function serverOf(tool: string): string {
	return tool.split('__')[0] ?? '';
}

export function bareName(server: string, tool: string): string {
	const prefix = `${server}__`;
	return tool.startsWith(prefix) ? tool.slice(prefix.length) : tool;
}

/** `send_message` reads "Send message". */
function readable(name: string): string {
	const words = name.replaceAll('_', ' ').trim();
	return words.charAt(0).toUpperCase() + words.slice(1);
}
