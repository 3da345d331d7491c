/** The page's shortcuts. Ctrl on most machines, Cmd on a Mac; never what a browser needs itself. */

export interface Shortcuts {
	onNewChat: () => void;
	onSearch: () => void;
	/** Brings the keyboard to what waits for an approval. */
	onApproval: () => void;
	/** Closes the top layer or stops the answer. */
	onEscape: () => void;
}

/** Listens until the returned function is called. */
export function listenToKeys(shortcuts: Shortcuts): () => void {
	const onKey = (event: KeyboardEvent) => {
		if (event.isComposing || event.defaultPrevented) return;
		const action = actionOf(event, shortcuts);
		if (!action) return;
		event.preventDefault();
		action();
	};
	addEventListener('keydown', onKey);
	return () => removeEventListener('keydown', onKey);
}

function actionOf(event: KeyboardEvent, shortcuts: Shortcuts): (() => void) | null {
	if (event.key === 'Escape') return shortcuts.onEscape;
	if (!(event.ctrlKey || event.metaKey)) return null;
	if (event.altKey) return event.key === 'Enter' ? shortcuts.onApproval : null;
	const key = event.key.toLowerCase();
	if (key === 'o' && event.shiftKey) return shortcuts.onNewChat;
	return key === 'k' && !event.shiftKey ? shortcuts.onSearch : null;
}
