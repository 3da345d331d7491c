/** What is on the page of an owner who is signed in: the open chat, the list, the fleet. */

import type { Api } from '../lib/api/api';
import type { ModelSettingsInForce } from '../lib/api/types';
import { Inbox } from '../lib/approvals/inbox.svelte';
import { Drafts } from '../lib/chat/draft.svelte';
import type { SessionListener } from '../lib/chat/listener';
import { Fleet } from '../lib/chat/servers.svelte';
import { ChatSession } from '../lib/chat/session.svelte';
import { SessionList } from '../lib/chat/sessions.svelte';
import type { ChatTurn } from '../lib/chat/turn.svelte';
import { strings } from '../lib/text/strings';
import type { Announcer } from '../lib/ui/announcer.svelte';
import { hrefOf, Router } from './router.svelte';

/** How often other tabs' doings are looked for while the page is seen. */
const NOTICE_MS = 4_000;

export class Desk {
	readonly router = new Router();
	readonly list: SessionList;
	readonly fleet: Fleet;
	readonly inbox: Inbox;
	session: ChatSession;
	modelSettings = $state.raw<ModelSettingsInForce | null>(null);
	readonly #api: Api;
	readonly #announcer: Announcer;
	readonly #announced = new Set<string>();
	readonly #drafts: Drafts;

	constructor(api: Api, announcer: Announcer) {
		this.#api = api;
		this.#announcer = announcer;
		this.list = new SessionList(api);
		this.fleet = new Fleet(api);
		this.inbox = new Inbox(api);
		this.#drafts = new Drafts(api);
		this.session = $state.raw(this.#open(this.#routedId));
	}

	get title(): string {
		const { id, title } = this.session;
		if (id === null) return strings.chat.newTitle;
		const unnamed = this.list.hasLoaded ? strings.session.untitled : strings.appName;
		return this.list.titles.get(id) || title || unnamed;
	}

	/** Works until the returned function is called. */
	start(): () => void {
		const notice = () => {
			if (document.visibilityState === 'visible') void this.session.notice();
		};
		const timer = setInterval(notice, NOTICE_MS);
		addEventListener('focus', notice);
		const stops = [
			this.router.start(),
			this.fleet.watch(),
			this.inbox.watch(),
			() => clearInterval(timer),
			() => removeEventListener('focus', notice),
			() => this.session.close(),
		];
		void this.list.refresh();
		void this.#loadModel();
		return () => {
			for (const stop of stops) stop();
		};
	}

	goToNewChat(): void {
		this.router.go(hrefOf(null));
	}

	/** A deleted chat cannot stay open. */
	forget(sessionId: string): void {
		if (sessionId === this.session.id) this.goToNewChat();
	}

	/** Opens the chat the address names, unless it is open already. Elsewhere the chat stays. */
	show(): void {
		const { name } = this.router.route;
		if (name !== 'chat' && name !== 'new') return;
		const id = this.#routedId;
		if (id !== null && id === this.session.id) return;
		this.session.close();
		this.session = this.#open(id);
	}

	get #routedId(): string | null {
		const { route } = this.router;
		return route.name === 'chat' ? route.sessionId : null;
	}

	#open(id: string | null): ChatSession {
		const listener: SessionListener = {
			onCreated: (created) => {
				if (this.router.route.name === 'new') this.router.rename(hrefOf(created));
			},
			onChanged: () => void this.list.refresh(),
			onTurnStarted: () => this.#announcer.say(strings.turn.announce.started),
			onTurnEnded: (turn) => this.#turnEnded(turn),
			onAsked: (turn) => void this.#asked(turn),
		};
		const session = new ChatSession(this.#api, id, listener, this.#drafts.of(id));
		void session.load();
		return session;
	}

	#turnEnded({ state }: ChatTurn): void {
		const { cancelled, failed, finished } = strings.turn.announce;
		if (state === 'cancelled') this.#announcer.say(cancelled);
		else this.#announcer.say(state === 'failed' ? failed : finished);
		void this.fleet.refresh();
		void this.#loadModel();
	}

	/** After a reload old questions come along with their answers: only open ones are told. */
	async #asked(turn: ChatTurn): Promise<void> {
		const last = turn.asking.at(-1);
		for (const { ask } of turn.asking) if (ask) this.inbox.adopt(ask);
		await this.inbox.refresh();
		if (!last?.waitsFor) return;
		const asked = `${last.waitsFor} ${last.key}`;
		if (this.#announced.has(asked)) return;
		this.#announced.add(asked);
		const { sign_in, approval } = strings.turn.announce;
		const say = last.waitsFor === 'sign_in' ? sign_in : approval;
		this.#announcer.say(say(last.server, last.name));
	}

	async #loadModel(): Promise<void> {
		try {
			this.modelSettings = await this.#api.modelSettings();
		} catch {
			// The chat works without this line.
		}
	}
}
