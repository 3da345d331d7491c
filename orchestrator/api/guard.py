"""The first door of every request and WebSocket: own hosts, own origins, bounded bodies.

Pure ASGI, because it runs for each request. It wraps the whole application, so that even the
answer to a crash has the security headers.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.api.problems import break_off, problem, send_problem
from orchestrator.errors import NotReady

MAX_BODY_BYTES = 1024 * 1024
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify svelte-trusted-html"
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"microphone=(self), camera=(), geolocation=(), display-capture=()"),
)
_API_HEADERS = (*_HEADERS, (b"cache-control", b"no-store"))
_ONCE = frozenset((b"host", b"origin", b"sec-fetch-site", b"content-type", b"content-length"))
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_OWN_SITES = (None, b"same-origin", b"none")
_STARTS = ("http.response.start", "websocket.http.response.start")


@dataclass(frozen=True, slots=True)
class BodyRule:
    """What requests to one path may carry, where it differs from JSON up to MAX_BODY_BYTES."""

    path: str
    max_bytes: int = MAX_BODY_BYTES
    any_type: bool = False
    """True where the body need not be JSON."""


@dataclass(frozen=True, slots=True)
class OwnOrigins:
    """The origins this process answers for: a `Host` or `Origin` must be exactly one of them."""

    by_host: dict[bytes, str]
    origins: frozenset[bytes]


def own_origins(port: int, public_origins: Sequence[str]) -> OwnOrigins:
    """Return loopback under our port, and the public origins (scheme, host and other port)."""
    ports = (f":{port}", "") if port == 80 else (f":{port}",)
    loopback = [f"http://{name}{suffix}" for name in LOOPBACK_NAMES for suffix in ports]
    origins = [*loopback, *public_origins]
    return OwnOrigins(
        by_host={origin.partition("://")[2].encode(): origin for origin in origins},
        origins=frozenset(origin.encode() for origin in origins),
    )


class Guard:
    """ASGI middleware; it also drops one trailing slash of API paths.

    Behind it, `scope["state"]` has `origin`, the own origin that the request came to, and
    `is_answered` once the answer has begun.
    """

    def __init__(self, app: ASGIApp, own: OwnOrigins, body_rules: Sequence[BodyRule] = ()) -> None:
        self._app = app
        self._own = own
        self._body_rules = body_rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request or WebSocket, then hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        is_api = path.startswith("/api/")
        if is_api and path.endswith("/"):
            scope["path"] = path[:-1]
            scope["raw_path"] = scope.get("raw_path", path.encode()).removesuffix(b"/")
        added = _API_HEADERS if is_api else _HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _STARTS:
                headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                headers.extend(header for header in added if header[0] not in present)
                message["headers"] = headers
                scope["state"]["is_answered"] = True
            await send(message)

        scope.setdefault("state", {})
        headers: dict[bytes, bytes] = dict(scope["headers"])
        refusal = self._refusal(scope, headers, is_api=is_api)
        if refusal is not None:
            status, detail = refusal
            await send_problem(scope, send_with_headers, problem(status, detail))
            return
        scope["state"]["origin"] = self._own.by_host[headers[b"host"].lower()]
        if b"transfer-encoding" in headers:
            receive = _bounded(receive, self._body_rule(scope["path"]).max_bytes)
        try:
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # Only a server that stops does this; it would log each stream as a failure.
            await break_off(scope, send_with_headers, NotReady("Flotilla is stopping."))
        except Exception:
            # With an id, the error is in the log and answered; without, the server must hang up.
            if "error_id" not in scope["state"]:
                raise

    def _refusal(
        self, scope: Scope, headers: dict[bytes, bytes], *, is_api: bool
    ) -> tuple[int, str] | None:
        if len(headers) != len(scope["headers"]) and _repeats(scope["headers"]):
            return 400, "A header that may come once came twice."
        if headers.get(b"host", b"").lower() not in self._own.by_host:
            return 421, (
                "This host name is not one of Flotilla's. "
                "Add its origin to FLOTILLA_PUBLIC_ORIGINS if it should be."
            )
        if scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
            return None
        if headers.get(b"sec-fetch-site") not in _OWN_SITES:
            return 403, "A page of another site may not do this."
        origin = headers.get(b"origin")
        if origin is not None and origin.lower() not in self._own.origins:
            return 403, "A page of another origin may not do this."
        return self._body_refusal(scope["path"], headers, is_api=is_api)

    def _body_refusal(
        self, path: str, headers: dict[bytes, bytes], *, is_api: bool
    ) -> tuple[int, str] | None:
        length = headers.get(b"content-length", b"0")
        if length == b"0" and b"transfer-encoding" not in headers:
            return None
        rule = self._body_rule(path)
        if int(length) > rule.max_bytes:
            return 413, _too_large(rule.max_bytes)
        if is_api and not rule.any_type and not _is_json(headers.get(b"content-type", b"")):
            return 415, "The body must be JSON, with Content-Type: application/json."
        return None

    def _body_rule(self, path: str) -> BodyRule:
        for rule in self._body_rules:
            if path == rule.path:
                return rule
        return _JSON_BODY


_JSON_BODY = BodyRule("/")


def _repeats(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    names = [name for name, _ in headers if name in _ONCE]
    return len(names) != len(set(names))


def _is_json(content_type: bytes) -> bool:
    media_type = content_type.partition(b";")[0].strip().lower()
    return media_type == b"application/json" or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )


def _too_large(max_bytes: int) -> str:
    return f"The body is larger than {max_bytes:,} bytes, the limit here."


def _bounded(receive: Receive, max_bytes: int) -> Receive:
    """Return `receive` that counts a body whose length was not announced."""
    received = 0

    async def receive_counted() -> dict[str, Any]:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise HTTPException(413, _too_large(max_bytes), {"Connection": "close"})
        return dict(message)

    return receive_counted
