/** A sign-in that a call waits for. */

import type { EventOf } from '../api/types';

type Asked = Omit<EventOf<'question_asked'>, 'type'>;

export class Question {
	readonly record: Asked;
	/** Others wait for the same sign-in: one card is enough for all of them. */
	readonly isRepeated: boolean;
	isPending = $state(true);
	/** Something the owner asked for is under way. */
	isBusy = $state(false);
	/** Why the last try did not count; empty when there was none. */
	failure = $state('');

	constructor(record: Asked, isRepeated: boolean) {
		this.record = record;
		this.isRepeated = isRepeated;
	}

	/** Whether the same sign-in answers both. */
	isLike({ server, account, capability }: Asked): boolean {
		const mine = this.record;
		return mine.server === server && mine.account === account && mine.capability === capability;
	}

	get id(): string {
		return this.record.question_id;
	}
}
