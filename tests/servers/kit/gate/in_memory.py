"""The effects server without a process: real ledger, real client, no wire."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import FastMCPTransport
from mcp.types import ElicitResult

from servers.kit.gate import audit, journal, tickets
from servers.kit.gate.ledger import Ledger, ledger_file
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.effects import Effect, granted, read_effects
from tests.fakes.effects_server import NAME, effects_server

Handler = Callable[..., Awaitable[ElicitResult]]
MESSAGE = {"to": "ann@example.org", "subject": "Lunch", "body": "At noon?"}


@dataclass
class EffectsInMemory:
    """The server and what it did; `settings` may be replaced before a client comes."""

    data_dir: Path
    settings: KitSettings = field(init=False)
    server: FleetServer[object] = field(init=False)

    def __post_init__(self) -> None:
        self.use_settings()

    def use_settings(self, **settings: Any) -> None:
        nowhere = "http://127.0.0.1:9"
        self.settings = KitSettings(
            **{"data_dir": self.data_dir, "orchestrator_url": nowhere, **settings}
        )
        self.server = effects_server(self.data_dir / "effects.txt")
        self.server.use_settings(self.settings, SystemdSettings())

    def client(
        self,
        handler: Handler | None = None,
        mode: Literal["auto", "legacy"] = "auto",
    ) -> Client[FastMCPTransport]:
        return Client(self.server, elicitation_handler=handler, mode=mode)

    def effects(self, tool: str | None = None) -> list[Effect]:
        return read_effects(self.data_dir / "effects.txt", tool)

    def granted(self, tool: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
        return granted(self.data_dir, tool, arguments, **options)

    async def audit(self) -> list[dict[str, Any]]:
        async with Ledger(self.data_dir / ledger_file(NAME)) as ledger:
            return await ledger.read(audit.rows_after, 0, 1_000)

    async def record(self, call_id: str) -> dict[str, Any]:
        async with Ledger(self.data_dir / ledger_file(NAME)) as ledger:
            return await ledger.read(journal.record, call_id)

    async def decide(self, ticket_id: str, *, approve: bool, now_s: float) -> None:
        """Does what the owner does at the terminal."""

        def work(conn: Any) -> None:
            tickets.decide(conn, ticket_id, approve=approve, by="terminal", now_s=now_s)

        async with Ledger(self.data_dir / ledger_file(NAME)) as ledger:
            await ledger.write(work)


async def called(
    client: Client[Any], tool: str, arguments: dict[str, Any], **meta: Any
) -> CallToolResult:
    """The result of a call, good or bad; `meta` are the keys of Flotilla."""
    sent = {f"flotilla/{name}": value for name, value in meta.items()}
    return await client.call_tool(tool, arguments, raise_on_error=False, meta=sent)


def error_of(result: CallToolResult) -> dict[str, Any]:
    """The gate's error in a result."""
    assert result.is_error
    assert result.structured_content is not None
    error = result.structured_content["error"]
    assert result.content[0].text == error["message"]
    return error


def answering(approve: bool, asked: list[str] | None = None) -> Handler:
    """A person who fills in every form so."""

    async def answer(message: str, *_: Any) -> ElicitResult:
        if asked is not None:
            asked.append(message)
        return ElicitResult(action="accept", content={"approve": approve})

    return answer
