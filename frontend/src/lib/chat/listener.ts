/** Who is told of what happens in an open chat. */

import type { ChatTurn } from './turn.svelte';

export interface SessionListener {
	/** The orchestrator gave a new chat its id. */
	onCreated: (sessionId: string) => void;
	/** Title, order or the running mark of a chat may have changed. */
	onChanged: () => void;
	onTurnStarted: () => void;
	onTurnEnded: (turn: ChatTurn) => void;
	/** The turn asks the owner, or an answer has come. */
	onAsked: (turn: ChatTurn) => void;
}
