"""What a server of the fleet has written down: its audit rows and how a call ended."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urljoin

import httpx2
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.domain.servers import ServerConfig
from orchestrator.errors import NotFound
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.processes import ServerHealth, ServerProcess
from orchestrator.tools.replies import broken_exchange, read_capped
from orchestrator.tools.transport import refuse_redirects_and_encodings

_TIMEOUT_S = 2.0
_OK = 200
_MAX_REPLY_BYTES = 4 * 1024 * 1024
Shape = TypeVar("Shape", bound=BaseModel)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class AuditHead(_Record):
    """The last row of a server's audit trail."""

    position: int
    hash: str


class AuditRows(_Record):
    """Some rows of a server's audit trail, oldest first, exactly as the server keeps them."""

    items: list[dict[str, Any]]
    head: AuditHead


class CallRecord(_Record):
    """What the journal of a server knows of one call."""

    call_id: str
    state: Literal["started", "done", "failed", "unknown", "absent"]
    result: CallToolResult | None = None
    """What the tool answered, when `state` is `done` or `failed`."""


class ServerRecords:
    """Reads the records of servers of the fleet over plain HTTP, beside their MCP session.

    Every method raises ExchangeFailed when the server does not answer within two seconds with
    what was asked for, and NotFound for a third party, which keeps no such records.
    """

    def __init__(
        self, token_for: Callable[[ServerConfig], str | None], ssl_context: ssl.SSLContext
    ) -> None:
        self._token_for = token_for
        self._ssl_context = ssl_context

    async def audit_rows(self, server: ServerConfig, *, after: int, limit: int) -> AuditRows:
        """Return up to `limit` rows with a position above `after`."""
        return await self._read(server, f"audit?after={after}&limit={limit}", AuditRows)

    async def call_record(self, server: ServerConfig, call_id: str) -> CallRecord:
        """Return what is known of a call; its state is `absent` when nothing is."""
        return await self._read(server, f"calls/{quote(call_id, safe='')}", CallRecord)

    async def process(self, server: ServerConfig) -> ServerProcess | None:
        """Return which process answers for the server; None when it does not tell."""
        return (await self._read(server, "health", ServerHealth)).process

    async def _read(self, server: ServerConfig, path: str, shape: type[Shape]) -> Shape:
        if server.trust != "fleet":
            raise NotFound(f"the server {server.id!r} is not of the fleet and keeps no records")
        url = urljoin(server.url.rstrip("/"), path)
        try:
            token = self._token_for(server)
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._http() as http,
                http.stream("GET", url, headers=_headers(token)) as response,
            ):
                return shape.model_validate_json(await _body(response))
        except TimeoutError as error:
            raise ExchangeFailed("timeout", "its records did not come in time") from error
        except httpx2.TransportError as error:
            raise broken_exchange(error) from error
        except OSError as error:
            raise ExchangeFailed("auth", f"its token cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ExchangeFailed("garbage", "its records do not have their form") from error

    def _http(self) -> httpx2.AsyncClient:
        # Not the capped transport: that one is for MCP and refuses every GET.
        transport = httpx2.AsyncHTTPTransport(verify=self._ssl_context, trust_env=False)
        return httpx2.AsyncClient(transport=transport, timeout=_TIMEOUT_S, trust_env=False)


def _headers(token: str | None) -> dict[str, str]:
    headers = {"accept-encoding": "identity"}
    return headers if token is None else headers | {"authorization": f"Bearer {token}"}


async def _body(response: httpx2.Response) -> bytes:
    refuse_redirects_and_encodings(response)
    status = response.status_code
    if status in (401, 403):
        raise ExchangeFailed("auth", f"it did not accept the token (HTTP {status})", status=status)
    if status != _OK:
        raise ExchangeFailed("http", f"it answered with HTTP {status}", status=status)
    return await read_capped(response, _MAX_REPLY_BYTES)
