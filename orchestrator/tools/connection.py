"""Keeps one server connected, knows its tools and its state, and comes back by itself."""

import asyncio
import logging

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.times import now_rfc3339
from orchestrator.domain.tools import ServerState, ServerStatus, ToolDefinition
from orchestrator.tools.attempts import Attempts
from orchestrator.tools.breaker import CircuitBreaker
from orchestrator.tools.cache import CachedList, known_list
from orchestrator.tools.call_times import CallTimes
from orchestrator.tools.definitions import ListedTool, ToolListing, definition_of
from orchestrator.tools.failures import ExchangeFailed, away
from orchestrator.tools.link import OPEN_TIMEOUT_S, Link
from orchestrator.tools.processes import ServerProcess
from orchestrator.tools.states import log_change
from orchestrator.tools.surroundings import Surroundings
from orchestrator.tools.wire import schema_bytes

logger = logging.getLogger(__name__)

_CALL_PATIENCE_S = 2.0
_RESTART_S = 1.5


class Connection:
    """One configured server. `run()` must be running for it to connect.

    Every refresh opens a new session, lists, and only then replaces the old one, whose calls
    may end in peace. So connecting, re-listing and recovering are one path, and never two
    attempts run at once.
    """

    def __init__(
        self, config: ServerConfig, around: Surroundings, *, breaker: CircuitBreaker
    ) -> None:
        self.config = config
        self.breaker = breaker
        self.settled = asyncio.Event()
        self.definitions: dict[str, ToolDefinition] = {}
        self.held_back: frozenset[str] = frozenset()
        self.call_times = CallTimes()
        self.process: ServerProcess | None = None
        self._around = around
        self._link: Link | None = None
        self._failure: ExchangeFailed | None = None
        self._failures = 0
        self._away_since_s = float("-inf")
        self._links: set[Link] = set()
        self._attempts = Attempts()
        self._drain_s = config.call_timeout_s
        self._listed: tuple[ListedTool, ...] = ()
        self._sizes: dict[str, int] | None = None
        self._is_cut = False
        self._list_lifetime_s: float | None = None
        self._known = CachedList()
        self._state: ServerState = "connecting"
        self._since = now_rfc3339()
        self._load_cache()

    @property
    def state(self) -> ServerState:
        return self._state

    @property
    def status(self) -> ServerStatus:
        on = [name for name in self.definitions if name not in self.hidden]
        return ServerStatus(
            config=self.config,
            state=self._state,
            since=self._since,
            last_error=str(self._failure) if self._failure else None,
            tools_on=len(on),
            tool_count=len(self.definitions),
            schema_bytes=sum(self.schema_sizes[name] for name in on),
            changed_tools=tuple(sorted(self.held_back)),
            latency=self.call_times.latency,
            version=self._known.server_version,
            instructions=self._known.instructions,
        )

    @property
    def schema_sizes(self) -> dict[str, int]:
        """The bytes that each tool adds to a request; measured when first asked for."""
        if self._sizes is None:
            self._sizes = {name: schema_bytes(tool) for name, tool in self.definitions.items()}
        return self._sizes

    @property
    def hidden(self) -> frozenset[str]:
        """The tools that are switched off or held back."""
        return self.held_back.union(self.config.disabled_tools)

    def update(self, config: ServerConfig) -> None:
        """Take over settings that need no new connection."""
        self.config = config

    def stop(self, *, drain_s: float | None = None) -> None:
        """Let `run()` end; calls in flight get `drain_s`, or else the time limit of a call."""
        self._drain_s = self.config.call_timeout_s if drain_s is None else drain_s
        self._attempts.stop()
        for link in self._links:
            if link is not self._link:
                link.give_up()

    async def run(self, start_after_s: float) -> None:
        """Stay connected until `stop()`; then let calls in flight end and close."""
        if not self.config.enabled:
            self.publish()
            self.settled.set()
            return
        await asyncio.sleep(start_after_s)
        async with asyncio.TaskGroup() as group:
            while not self._attempts.is_stopping:
                await self._attempt(group)
                # A session that ended as soon as it was open counts as a failure here.
                failures = self._failures or int(self._link is None)
                if await self._attempts.pause(failures, self._list_lifetime_s):
                    self._failures = 0  # Somebody wants the server, so ask it often again.
            deadline = asyncio.get_running_loop().time() + self._drain_s
            for link in tuple(self._links):
                await link.close(deadline)

    def try_now(self) -> None:
        """Begin the next attempt without waiting for its time."""
        self._attempts.nudge()

    async def refresh(self) -> None:
        """Return when an attempt that began after this call has ended, or at its time limit."""
        if not self.config.enabled or self._attempts.is_stopping:
            return
        try:
            async with asyncio.timeout(3 * OPEN_TIMEOUT_S):
                await self._attempts.next(fresh=True)
        except TimeoutError:
            logger.info("server_refresh_late server=%s", self.config.id)

    async def link_for_call(self, deadline: float) -> Link:
        """Return an open session, waiting a moment for one that is just coming back.

        Raises ServerUnavailable or NeedsSignIn.
        """
        link = self._link
        if link is not None and not link.is_over:
            return link
        hangs = self._failure is not None and self._failure.kind == "timeout"
        if self._attempts.is_stopping or not self.config.enabled or hangs:
            self._attempts.nudge()
            raise away(self.config, self._failure, self._since)
        # Without a failure it was well a moment ago, so it is worth the wait for a new session.
        patience_s = _CALL_PATIENCE_S if self._failure else OPEN_TIMEOUT_S
        limit = min(deadline, asyncio.get_running_loop().time() + patience_s)
        try:
            async with asyncio.timeout_at(limit):
                while True:
                    # An attempt from before this call may have missed that the server is back.
                    await self._attempts.next(fresh=self._failure is not None)
                    if self._link is not None or not self._may_be_restarting():
                        break
        except TimeoutError:
            raise away(self.config, self._failure, self._since) from self._failure
        if self._link is None:
            raise away(self.config, self._failure, self._since) from self._failure
        return self._link

    def call_failed(self, link: Link, failure: ExchangeFailed) -> None:
        """Draw the conclusion of a failed call: the next attempt shows what is the matter."""
        if failure.kind in ("refused", "session_lost", "auth") and link is self._link:
            self._link = None
            if failure.kind != "session_lost":
                self._note(failure)
            link.release()
        if failure.kind not in ("rpc", "fault"):
            self._attempts.nudge()
        self.publish()

    def review(self) -> None:
        """Compare the tools with their pins again."""
        config, version = self.config, self._known.server_version
        self.held_back = self._around.pins.review(config.id, config.trust, version, self._listed)
        self.publish()

    def publish(self) -> None:
        """Work out the state, and tell when it or the tools may have changed."""
        config, state = self.config, self._derived_state()
        if state != self._state:
            log_change(config.id, self._state, state, self._failure, len(self.definitions))
            self._state, self._since = state, now_rfc3339()
        self._around.on_change(self.config.id)

    async def _attempt(self, group: asyncio.TaskGroup) -> None:
        self._attempts.begin()
        try:
            link = await self._open(group)
            listing = await link.list_tools()
            # One that leaves must not pin its tools: another may have taken its id meanwhile.
            if not self._attempts.is_stopping:
                await self._succeeded(link, listing)
                if self.config.trust == "fleet":
                    group.create_task(self._learn_process())
        except ExchangeFailed as failure:
            self._failed(failure)
        except Exception:  # one broken connection must not end the others
            logger.exception("server_attempt_failed server=%s", self.config.id)
            self._failed(ExchangeFailed("broken", "connecting failed inside the orchestrator"))
        self.settled.set()
        await self._attempts.end()

    async def _open(self, group: asyncio.TaskGroup) -> Link:
        config = self.config
        try:
            token = self._around.token_for(config)
        except OSError as error:
            raise ExchangeFailed("auth", f"its token cannot be read: {error.strerror}") from error
        link = Link(
            config.url,
            token=token,
            ssl_context=self._around.ssl_context,
            addresses=self._around.addresses if config.trust == "third_party" else None,
        )
        opened = asyncio.get_running_loop().create_future()
        self._links.add(link)
        group.create_task(self._hold(link, opened), name=f"link {config.id}")
        await opened
        return link

    async def _hold(self, link: Link, opened: "asyncio.Future[None]") -> None:
        failure = await link.hold(opened)
        self._links.discard(link)
        if failure is not None:
            logger.warning("session_broke server=%s error=%s", self.config.id, failure)
        if link is self._link:
            self._link = None
            self._attempts.nudge()

    async def _succeeded(self, link: Link, listing: ToolListing) -> None:
        self.breaker.revive(was_away=self._failure is not None)
        self._link, self._failure, self._failures = link, None, 0
        self._release_links(keep=link)
        self._is_cut, self._list_lifetime_s = listing.is_cut, listing.lifetime_s
        peer = link.peer
        known = known_list(self.config.url, peer.version, peer.instructions, listing.tools)
        is_new = known != self._known
        self._learn(known)
        self.review()
        if is_new:
            await self._around.cache.write(self.config.id, known)

    async def _learn_process(self) -> None:
        try:
            self.process = await self._around.records.process(self.config)
        except ExchangeFailed as failure:
            self.process = None
            logger.debug("server_process_unknown server=%s error=%s", self.config.id, failure)

    def _failed(self, failure: ExchangeFailed) -> None:
        self._link = None
        self._note(failure)
        self._failures += 1
        self._release_links(keep=None)
        self.publish()

    def _note(self, failure: ExchangeFailed) -> None:
        if self._failure is None:
            self._away_since_s = asyncio.get_running_loop().time()
        self._failure = failure

    def _may_be_restarting(self) -> bool:
        """Tell whether the server was well so lately that its supervisor may be at work."""
        return asyncio.get_running_loop().time() - self._away_since_s < _RESTART_S

    def _release_links(self, *, keep: Link | None) -> None:
        for link in self._links:
            if link is not keep:
                link.release()

    def _learn(self, known: CachedList) -> None:
        self._known, self._listed = known, known.tools
        self.definitions = {tool.name: definition_of(tool, self.config) for tool in known.tools}
        self._sizes = None

    def _load_cache(self) -> None:
        self._learn(self._around.cache.read(self.config.id, self.config.url))
        self.held_back = self._around.pins.compare(self.config.id, self._listed)

    def _derived_state(self) -> ServerState:
        if not self.config.enabled:
            return "disabled"
        if self._failure is not None and self._link is None:
            return "needs_sign_in" if self._failure.kind == "auth" else "unavailable"
        if self._link is None:
            return "connecting" if not self.settled.is_set() else self._state
        if self._is_cut or self.breaker.state != "closed":
            return "degraded"
        return "changed" if self.held_back else "ready"
