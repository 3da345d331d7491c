"""A sign-in that comes back to this machine: a listener on 127.0.0.1, for this one (RFC 8252)."""

import asyncio
import contextlib
import socket
from collections.abc import Collection, Generator, Mapping
from typing import Self
from urllib.parse import parse_qsl

import uvicorn
from starlette.types import Receive, Scope, Send

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import Account, SignInBegun, SignInUnknown
from servers.kit.accounts.returning import FAILURES, completed, told
from servers.kit.deadline import DeadlineProtocol
from servers.kit.errors import InvalidInput, Unavailable
from servers.kit.hosts import is_allowed_host

HOST = "127.0.0.1"
CLOSE_S = 1
_NOT_THIS_ONE = "This sign-in is not known here, or is over. Begin again."


class Loopback:
    """One sign-in under way; `open` begins it, and whoever opened it also closes it."""

    def __init__(self, accounts: Accounts, begun: SignInBegun, listener: socket.socket) -> None:
        self._accounts = accounts
        self.begun = begun
        self._ended: asyncio.Future[Account] = asyncio.get_running_loop().create_future()
        # The address that comes back has a code in it: nothing of it may be logged.
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            http=DeadlineProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=CLOSE_S,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve([listener]))

    @classmethod
    async def open(
        cls, accounts: Accounts, capabilities: Collection[str], account: str | None
    ) -> Self:
        """Begins a sign-in and listens for its end. Raises as `Accounts.begin`, and OSError."""
        listener = socket.create_server((HOST, 0))
        try:
            begun = await accounts.begin(
                capabilities,
                redirect_uri=f"http://{HOST}:{listener.getsockname()[1]}/",
                account=account,
            )
        except BaseException:
            listener.close()
            raise
        return cls(accounts, begun, listener)

    @property
    def is_over(self) -> bool:
        """Whether it ended, well or not."""
        return self._ended.done()

    async def ended(self) -> Account:
        """The account, once somebody signed in. Raises one of FAILURES when that failed."""
        return await asyncio.shield(self._ended)

    async def take(self, answer: Mapping[str, str]) -> Account:
        """Ends it with what came back. Raises one of FAILURES.

        It goes on after what was not its own answer, and after Unavailable: try again.
        """
        if answer.get("state", self.begun.state) != self.begun.state:
            raise SignInUnknown(_NOT_THIS_ONE)
        try:
            account = await completed(self._accounts, answer)
        except (InvalidInput, Unavailable):
            raise
        except FAILURES as error:
            if not self._ended.done():
                self._ended.set_exception(error)
            raise
        if not self._ended.done():
            self._ended.set_result(account)
        return account

    async def close(self) -> None:
        """Listens no more; a sign-in that did not come back is left to end by itself."""
        self._server.stop_asked.set()
        await self._serving
        # Nobody may have looked how it ended.
        if not self._ended.cancel() and not self._ended.cancelled():
            self._ended.exception()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, text = await self._answered(scope)
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": f"{text}\n".encode()})

    async def _answered(self, scope: Scope) -> tuple[int, str]:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not is_allowed_host(hosts[0], frozenset()):
            return 421, "This Host is not served here."
        answer = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if scope["method"] != "GET" or scope["path"] != "/":
            return 404, _NOT_THIS_ONE
        try:
            account = await self.take(answer)
        except FAILURES as error:
            return told(error)[0], str(error)
        return 200, f"Signed in as {account.account}. You can close this tab."


class _Server(uvicorn.Server):
    """uvicorn that is not the program: it stops when it is asked to, even before it began."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stop_asked = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # They are for the program that listens here for a while.
        yield

    async def main_loop(self) -> None:
        await self.stop_asked.wait()
