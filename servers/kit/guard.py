"""The door of a server: who may ask, from where, and how much at once."""

import hmac
import json
from collections.abc import Callable, Collection, Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servers.kit.accounts.routes import is_account_path
from servers.kit.clients import Caller, Clients
from servers.kit.files.links import is_file_path
from servers.kit.gate.routes import is_gate_path
from servers.kit.hosts import is_allowed_host, is_same_origin
from servers.kit.previews import is_preview_path
from servers.kit.process import own_process

MCP_PATH: Final = "/mcp"
HEALTH_PATH: Final = "/health"
MAX_BODY_BYTES: Final = 1024 * 1024


class Refused(Exception):
    """The request stops here; carries the HTTP answer."""

    def __init__(self, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class Guard:
    """An ASGI app around the server's: Host, Origin, path, token and body size, in that order.

    `is_signed(method, path, query)` says whether a request for a file has a link of this server,
    which stands for the token. Behind it, `scope["user"]` is the Caller whose token came.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        health: dict[str, str],
        token: str,
        clients: Clients,
        is_signed: Callable[[str, str, bytes], bool],
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self._app = app
        self._health = health
        self._token = token.encode()
        self._owner = Caller("server", "full")
        self._clients = clients
        self._is_signed = is_signed
        self._allowed_hosts = frozenset(allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_source(scope)
            path = scope["path"].removesuffix("/")
            if path == HEALTH_PATH:
                await _answer(send, 200, self._health_told(scope))
                return
            is_private = is_gate_path(path) or is_account_path(path) or is_preview_path(path)
            if path != MCP_PATH and not is_private and not is_file_path(path):
                raise Refused(404, f"There is nothing here: the MCP endpoint is {MCP_PATH}.")
            if is_file_path(path) and not _values(scope, b"authorization"):
                self._check_link(scope, path)
            else:
                scope["user"] = caller = self._caller(scope)
                if caller.is_client and is_private:
                    raise Refused(403, "This token is for MCP only, not for what is the owner's.")
            body = await _read_body(scope, receive)
        except Refused as refused:
            await _answer(send, refused.status, {"error": str(refused)}, *refused.headers)
            return
        if body is None:
            return
        scope["path"] = path
        await self._app(scope, _replay(body, receive), send)

    def _check_source(self, scope: Scope) -> None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not is_allowed_host(hosts[0], self._allowed_hosts):
            raise Refused(421, "This Host is not served here (FLOTILLA_ALLOWED_HOSTS lists them).")
        origins = _values(scope, b"origin")
        if len(origins) > 1 or (origins and not is_same_origin(origins[0], hosts[0])):
            raise Refused(403, "Requests from web pages of another origin are refused.")

    def _health_told(self, scope: Scope) -> dict[str, object]:
        """What anybody may know, and for those who show a token which process this is."""
        if not _values(scope, b"authorization"):
            return {**self._health}
        self._caller(scope)
        return {**self._health, "process": own_process()}

    def _check_link(self, scope: Scope, path: str) -> None:
        if not self._is_signed(scope["method"], path, scope["query_string"]):
            raise Refused(403, "This link is not valid here, or not any more: ask for a new one.")

    def _caller(self, scope: Scope) -> Caller:
        """Whose token it is. Raises Refused."""
        values = _values(scope, b"authorization")
        if not values:
            raise Refused(401, "A bearer token is needed.", (b"www-authenticate", b"Bearer"))
        scheme, _, rest = values[0].partition(" ")
        shown = rest.strip().encode("latin-1")
        is_own = hmac.compare_digest(shown, self._token)
        caller = self._owner if is_own else self._clients.caller(shown)
        if len(values) > 1 or scheme.lower() != "bearer" or caller is None:
            challenge = (b"www-authenticate", b'Bearer error="invalid_token"')
            raise Refused(401, "This bearer token is not valid here.", challenge)
        return caller


async def _read_body(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body, or None when the client left. Raises Refused when it is over the limit."""
    too_large = Refused(
        413, f"The request is over {MAX_BODY_BYTES:,} bytes.", (b"connection", b"close")
    )
    lengths = _values(scope, b"content-length")
    # The parser has refused lengths that are not numbers.
    if lengths and int(lengths[0]) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise too_large
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body read before, then whatever comes next."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


async def _answer(
    send: Send, status: int, content: Mapping[str, object], *headers: tuple[bytes, bytes]
) -> None:
    body = json.dumps(content).encode()
    fixed = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
