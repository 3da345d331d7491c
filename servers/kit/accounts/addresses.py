"""Where a person goes to sign in: to the orchestrator, or straight to the provider."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from servers.kit.accounts import Accounts
from servers.kit.accounts.loopback import Loopback
from servers.kit.accounts.returning import FAILURES
from servers.kit.orchestrator import Orchestrator
from servers.kit.settings import KitSettings

logger = logging.getLogger(__name__)

MAX_OPEN = 8
"""Sign-ins that are waited for at once; of more, the oldest is given up."""
SHORTEST_S = 300
"""What a person who gets an address has left at least."""
LINGER_S = 60
"""How long a second tab with the same address is still told that it is done."""


class SignInAddresses:
    """The addresses that one running server gives. Use it within `opened`."""

    def __init__(self, server: str, accounts: Accounts) -> None:
        self._server = server
        self._accounts = accounts
        self._settings: KitSettings | None = None
        self._turn = asyncio.Lock()
        self._open: dict[tuple[str, str | None], Loopback] = {}
        self._waiting: dict[Loopback, asyncio.Task[None]] = {}

    def use_settings(self, settings: KitSettings) -> None:
        """Says which orchestrator the server belongs to."""
        self._settings = settings

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Sign-ins may come back meanwhile."""
        try:
            yield
        finally:
            tasks = list(self._waiting.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            # What was cancelled before its first step did not close anything.
            for loopback in self._waiting:
                await loopback.close()
            self._waiting.clear()
            self._open.clear()

    def at_orchestrator(self, capability: str, account: str | None) -> str | None:
        """None without an orchestrator."""
        orchestrator = Orchestrator(self._server, self._settings or KitSettings())
        if orchestrator.token is None:
            return None
        query = {"capability": capability} | ({"account": account} if account else {})
        return f"{orchestrator.url}/oauth/{quote(self._server)}/start?{urlencode(query)}"

    async def address(self, capability: str, account: str | None) -> str:
        """Raises NotConfigured, UpstreamError, and OSError when nothing can listen here."""
        if (url := self.at_orchestrator(capability, account)) is not None:
            return url
        async with self._turn:
            key = (capability, account)
            if (known := self._open.get(key)) is not None and _seconds_left(known) > SHORTEST_S:
                return known.begun.url
            if len(self._waiting) >= MAX_OPEN:
                next(iter(self._waiting.values())).cancel()
            loopback = await Loopback.open(self._accounts, [capability], account)
            self._open[key] = loopback
            self._waiting[loopback] = asyncio.create_task(self._wait(key, loopback))
            return loopback.begun.url

    async def _wait(self, key: tuple[str, str | None], loopback: Loopback) -> None:
        try:
            # The person who signs in is told on the page how it ended.
            with contextlib.suppress(TimeoutError, *FAILURES):
                async with asyncio.timeout(_seconds_left(loopback)):
                    await loopback.ended()
            self._give_no_more(key, loopback)
            await asyncio.sleep(LINGER_S)
        finally:
            self._give_no_more(key, loopback)
            del self._waiting[loopback]
            await loopback.close()

    def _give_no_more(self, key: tuple[str, str | None], loopback: Loopback) -> None:
        if self._open.get(key) is loopback:
            del self._open[key]


def _seconds_left(loopback: Loopback) -> float:
    return (loopback.begun.expires_at - datetime.now(UTC)).total_seconds()
