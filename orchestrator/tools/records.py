"""What a server of the fleet has written down: its audit rows and how a call ended."""

from typing import Any, Literal
from urllib.parse import quote

from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict

from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.processes import ServerHealth, ServerProcess
from orchestrator.tools.side_requests import Shape, SideRequests

_TIMEOUT_S = 2.0
_MAX_REPLY_BYTES = 4 * 1024 * 1024


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

    def __init__(self, requests: SideRequests) -> None:
        self._requests = requests

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
        answer = await self._requests.ask(
            server, "GET", path, timeout_s=_TIMEOUT_S, max_bytes=_MAX_REPLY_BYTES
        )
        return answer.read_as(shape)
