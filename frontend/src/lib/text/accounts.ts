/** What the page says of sign-ins and accounts; loaded with them, apart from `strings`. */

export const accounts = {
	signIn: 'Sign in',
	signInWith: (title: string) => `Sign in to ${title}`,
	newTab: '(opens a new tab)',
	notNow: 'Not now',
	moment: 'One moment',
	goesOn: 'The answer goes on by itself once you are signed in.',
	account: (account: string) => `as ${account}`,
	paste: {
		summary: 'Signed in on another device, or the last page did not open?',
		hint: 'Copy the whole address of that page and paste it here.',
		field: 'Address of the last page',
		submit: 'Finish signing in',
	},
	offline: 'Flotilla is not answering. Nothing was changed: try again.',
	declined: 'You chose not to sign in.',

	page: {
		loading: 'Loading the accounts',
		failed: 'The accounts could not be loaded.',
		none: 'None of the servers that are switched on needs an account. servers/README.md says how to switch on Gmail, Google Calendar and Google Tasks.',
		noAccount: 'Nobody is signed in.',
		states: {
			ok: 'signed in',
			needs_sign_in: 'needs sign-in',
			not_configured: 'not set up',
			unavailable: 'not answering',
		},
		isDefault: 'default',
		may: (what: string[]) => `May ${what.join(', ')}`,
		refreshed: (when: string) => `last renewed ${when}`,
		signedIn: (when: string) => `signed in ${when}`,
		worksUntil: (when: string, left: string) =>
			left ? `Works until ${when}, ${left} from now.` : `Worked until ${when}.`,
		testing:
			'Google ends sign-ins after 7 days while the consent screen of your client is in testing. Publish it, then sign in again: the new sign-in stays.',
		another: 'Sign in with another account',
		again: 'Sign in again',
		more: (what: string) => `Also permit: ${what}`,
		makeDefault: 'Use by default',
		leave: 'Sign out',
		leaveAccount: (account: string) => `Sign out ${account}`,
		confirm: (account: string) => `Sign ${account} out and take back what you permitted?`,
		keep: 'Keep',
	},
} as const;
