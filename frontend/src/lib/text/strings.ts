/** Every word the page says. */

import { plural } from './plural';

export const strings = {
	appName: 'Flotilla',
	copy: 'Copy',
	copied: 'Copied',
	retry: 'Retry',
	pageTitle: (title: string) => (title === 'Flotilla' ? title : `${title} · Flotilla`),

	start: {
		unreachable: 'Flotilla is not answering. Check that it is still running, then try again.',
		loading: 'Opening Flotilla',
	},

	signIn: {
		title: 'Sign in',
		explanation: 'Flotilla signs you in with a one-time link from its own terminal.',
		terminalBefore: 'Open the link that',
		terminalBetween: 'printed, or ask for a new one with',
		terminalAfter: ', and paste it here.',
		runCommand: 'make run',
		signInCommand: 'flotilla sign-in',
		field: 'Link or code',
		submit: 'Sign in',
		refused: 'This code is wrong, used up or too old. Ask for a new one with flotilla sign-in.',
		unreachable: 'Flotilla is not answering. Your code is still good: try again.',
	},

	sidebar: {
		label: 'Chats',
		open: 'Open the list of chats',
		close: 'Close the list of chats',
		newChat: 'New chat',
		search: 'Search chats',
		groups: {
			pinned: 'Pinned',
			today: 'Today',
			yesterday: 'Yesterday',
			week: 'Last seven days',
			older: 'Older',
			found: 'Found',
		},
		more: 'More chats',
		empty: 'Your chats will be listed here.',
		noHits: (query: string) => `No chat contains “${query}”.`,
		failed: 'The list of chats could not be updated. Open chats still work.',
		accounts: 'Accounts',
		approvals: 'Approvals',
		pending: (count: number) => `${count} waiting for you`,
		signOut: 'Sign out',
		theme: { system: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' },
	},

	session: {
		actions: (title: string) => `Actions for ${title}`,
		rename: 'Rename',
		title: 'Title',
		save: 'Save',
		pin: 'Pin',
		unpin: 'Unpin',
		delete: 'Delete',
		confirmDelete: 'Delete this chat and its files?',
		keep: 'Keep',
		isAnswering: 'answering',
		isWaiting: 'waiting for your approval',
		untitled: 'Untitled chat',
	},

	fleet: {
		title: 'Servers',
		summary: (ready: number, all: number) =>
			`${ready} of ${plural(all, 'server', 'servers')} ready`,
		none: 'No server is enabled yet.',
		tools: (count: number) => plural(count, 'tool', 'tools'),
		states: {
			connecting: 'connecting',
			ready: 'ready',
			degraded: 'slow or failing',
			unavailable: 'not answering',
			needs_sign_in: 'needs sign-in',
			disabled: 'switched off',
			changed: 'changed, waits for your review',
		},
	},

	chat: {
		label: 'Messages',
		newTitle: 'New chat',
		meta: (model: string, servers: number) =>
			[model, servers ? plural(servers, 'server', 'servers') : ''].filter(Boolean).join(' · '),
		greetings: { night: 'Good evening.', morning: 'Good morning.', day: 'Good afternoon.' },
		question: 'What needs doing?',
		practice:
			'Practice model: scripted answers, no key needed. For a real one, set OPENROUTER_API_KEY in .env.',
		loading: 'Loading the chat',
		goneTitle: 'Chat not found',
		notFound: 'This chat does not exist any more. Your other chats are in the list.',
		loadFailed: 'This chat could not be loaded. Nothing is lost: it is stored.',
		older: 'Earlier messages',
		jump: 'Jump to latest',
	},

	composer: {
		label: 'Message',
		placeholder: 'Message',
		send: 'Send',
		stop: 'Stop',
		stopping: 'Stopping',
		attach: 'Attach files',
		attachFailed: 'Not attached: Flotilla is not answering.',
		drop: 'Drop files to attach them',
		uploading: 'Sends after upload',
		waits: { approval: 'Waiting for your approval', sign_in: 'Waiting for your sign-in' },
		waitsKeys: 'Ctrl Alt Enter',
	},

	turn: {
		you: 'You wrote',
		answer: 'Answer',
		continuation: 'Answer, continued',
		waiting: 'Waiting for the first word',
		reconnecting: 'Connection lost. The answer goes on without this page; reconnecting.',
		copyAnswer: 'Copy answer',
		continue: 'Continue',
		edit: 'Edit',
		unsent: {
			connection: 'Not sent: Flotilla is not answering. Your message is kept here.',
			refused: (message: string) => `Not sent: ${message}`,
		},
		endings: {
			length: 'The answer reached the longest length the model allows.',
			limit: 'The turn reached its limit of rounds, calls, time or cost. What came so far is kept.',
			cancelled: 'You stopped this answer. What came so far is kept.',
			interrupted: 'Flotilla was restarted during this answer. What came so far is kept.',
			failed: (message: string) => message || 'This answer failed. What came so far is kept.',
		},
		sources: 'Sources',
		announce: {
			started: 'Assistant is answering',
			approval: (server: string, tool: string) => `Waiting for your approval: ${server} ${tool}`,
			sign_in: (server: string, tool: string) => `Waiting for your sign-in: ${server} ${tool}`,
			finished: 'Answer finished',
			cancelled: 'Answer stopped',
			failed: 'Answer failed',
		},
	},

	reasoning: {
		running: 'Thinking',
		done: 'Thought',
		doneFor: (duration: string) => `Thought for ${duration}`,
	},

	station: {
		arguments: 'Arguments',
		noArguments: 'No arguments',
		result: 'Result',
		noResult: 'No result yet',
		nothing: 'none',
		raw: 'Raw JSON',
		readable: 'Readable',
		progress: (value: number, total: number | null) =>
			total ? `${Math.round((100 * value) / total)} %` : `${value}`,
		fold: (count: number, duration: string) => `${count} steps, ${duration}`,
		states: {
			waiting: 'waiting',
			running: 'running',
			done: 'done',
			failed: 'failed',
			denied: 'denied',
			cancelled: 'cancelled',
			unknown: 'outcome unknown',
		},
		changedArguments: 'Arguments, changed by you',
		askedArguments: 'As the model asked',
		foreign: 'read foreign text',
		foreignFrom: (sources: string[]) => `read foreign text from ${sources.join(', ')}`,
		deniedBecause: (reason: string) => `You denied this: ${reason}`,
		undo: 'Undo',
		undoCall: (server: string, tool: string) => `Undo ${server} ${tool}`,
		undoing: 'Undoing',
		undone: 'Undone',
		waitsFor: { approval: 'waiting for your approval', sign_in: 'waiting for your sign-in' },
	},

	undo: {
		turn: (count: number) => `Undo ${plural(count, 'change', 'changes')}`,
		done: (done: number, all: number) =>
			done === all
				? `${plural(all, 'change', 'changes')} undone.`
				: `${done} of ${plural(all, 'change', 'changes')} undone.`,
		failed: (name: string, why: string) => `${name} was not undone. ${why}`,
		unknown: (name: string, why: string) => `Whether ${name} was undone is not known. ${why}`,
		unreachable: 'Not undone: Flotilla is not answering. Try again.',
	},

	decision: {
		offline: 'Flotilla is not answering. What you decided is kept here: try again.',
		gone: 'This approval does not exist any more.',
	},

	markdown: {
		table: 'Table',
		done: 'done',
		open: 'open',
		plainText: 'text',
		copyCode: (language: string) => `Copy ${language || 'plain'} code`,
	},
} as const;
