"""Answers only programs of this machine that meant to come here."""

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.practice.wire import error_body

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Guard:
    """ASGI middleware: a loopback Host (a web page cannot send one) and the key, if one is set."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        self._app = app
        self._authorization = f"Bearer {api_key}" if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope))):
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name.lower() not in _LOOPBACK_NAMES or "origin" in headers:
            message = "The practice server answers only programs of this machine."
            return JSONResponse(error_body(403, message, "permission_denied"), 403)
        if self._authorization is None:
            return None
        given = headers.get("authorization", "").encode()
        if hmac.compare_digest(given, self._authorization.encode()):
            return None
        message = "The key is not PRACTICE_API_KEY."
        return JSONResponse(error_body(401, message, "authentication"), 401)
