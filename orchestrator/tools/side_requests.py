"""Plain HTTP requests to servers of the fleet, beside their MCP session."""

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urljoin

import httpx2
from pydantic import BaseModel, ValidationError

from orchestrator.domain.servers import ServerConfig
from orchestrator.errors import NotFound
from orchestrator.tools.definitions import visible_text
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.replies import broken_exchange, read_capped
from orchestrator.tools.transport import refuse_redirects_and_encodings

_SUCCESSES = (200, 201)
_REFUSALS = (401, 403)
_MAX_MESSAGE_CHARS = 1_000
Shape = TypeVar("Shape", bound=BaseModel)


class _Error(BaseModel):
    code: str | None = None
    message: str


class _ErrorBody(BaseModel):
    error: _Error | str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server says it did not do, and why."""

    code: str | None
    message: str
    """For the owner, without hidden characters."""


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """An answer of any status."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return self.status in _SUCCESSES

    @property
    def refusal(self) -> Refusal | None:
        """What the server says is wrong; None when it does not say."""
        try:
            error = _ErrorBody.model_validate_json(self.body).error
        except ValidationError:
            return None
        if isinstance(error, str):
            error = _Error(message=error)
        return Refusal(error.code, visible_text(error.message, _MAX_MESSAGE_CHARS))

    def read_as(self, shape: type[Shape]) -> Shape:
        """Return what it holds. Raises ExchangeFailed when that is not what was asked for."""
        status = self.status
        if status in _REFUSALS:
            text = f"it did not accept the token (HTTP {status})"
            raise ExchangeFailed("auth", text, status=status)
        if not self.is_success:
            raise ExchangeFailed("http", f"it answered with HTTP {status}", status=status)
        try:
            return shape.model_validate_json(self.body)
        except ValidationError:
            # Not as the cause: its text shows values, which may be secrets.
            raise ExchangeFailed("garbage", "its answer does not have its form") from None


class SideRequests:
    """Asks servers of the fleet; nothing is sent to a third party."""

    def __init__(
        self, token_for: Callable[[ServerConfig], str | None], ssl_context: ssl.SSLContext
    ) -> None:
        self._token_for = token_for
        self._ssl_context = ssl_context

    async def ask(
        self,
        server: ServerConfig,
        method: str,
        path: str,
        *,
        body: object = None,
        timeout_s: float,
        max_bytes: int,
    ) -> SideAnswer:
        """Return the answer, whatever its status; `path` is relative to that of the server.

        Raises ExchangeFailed when none comes in time, or one that is followed, packed or larger
        than `max_bytes`; NotFound for a third party, which has no such routes.
        """
        if server.trust != "fleet":
            raise NotFound(f"the server {server.id!r} is not of the fleet and keeps no records")
        url = urljoin(server.url.rstrip("/"), path)
        content = None if body is None else json.dumps(body).encode()
        try:
            headers = _headers(self._token_for(server), has_body=body is not None)
            async with (
                asyncio.timeout(timeout_s),
                self._http(timeout_s) as http,
                http.stream(method, url, headers=headers, content=content) as response,
            ):
                refuse_redirects_and_encodings(response)
                return SideAnswer(response.status_code, await read_capped(response, max_bytes))
        except TimeoutError as error:
            raise ExchangeFailed("timeout", "its answer did not come in time") from error
        except httpx2.TransportError as error:
            raise broken_exchange(error) from error
        except OSError as error:
            raise ExchangeFailed("auth", f"its token cannot be read: {error.strerror}") from error

    def _http(self, timeout_s: float) -> httpx2.AsyncClient:
        # Not the capped transport: that one is for MCP and refuses every GET.
        transport = httpx2.AsyncHTTPTransport(verify=self._ssl_context, trust_env=False)
        return httpx2.AsyncClient(transport=transport, timeout=timeout_s, trust_env=False)


def _headers(token: str | None, *, has_body: bool) -> dict[str, str]:
    headers = {"accept-encoding": "identity"}
    headers |= {"content-type": "application/json"} if has_body else {}
    return headers if token is None else headers | {"authorization": f"Bearer {token}"}
