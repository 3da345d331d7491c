"""The server that works with accounts without a process: real files, real client, no wire."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastmcp import Client
from mcp.types import ElicitRequestURLParams, ElicitResult

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import Account
from servers.kit.accounts.providers import provider_of
from servers.kit.accounts.returning import completed
from servers.kit.gate import audit, tickets
from servers.kit.gate.ledger import Ledger, ledger_file
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.effects_server import NAME
from tests.fakes.sign_in import ANNA, clicked, consented
from tests.fakes.sign_in_server import MANIFEST, sign_in_server
from tests.servers.kit.gate.in_memory import EffectsInMemory

SENT = {"errand": "Buy milk", "to": "bo@example.org"}


class Errands(EffectsInMemory):
    """The server and what it did; who signs in, does it in another process of it."""

    def use_settings(self, **settings: Any) -> None:
        self.settings = KitSettings(
            data_dir=self.data_dir,
            orchestrator_url="http://127.0.0.1:9",
            vault_key_file=self.data_dir / "vault.key",
            **settings,
        )
        self.server = sign_in_server(self.data_dir / "effects.txt")
        self.server.use_settings(self.settings, SystemdSettings())

    def granted(self, tool: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
        """As the orchestrator sends what was approved for Anna."""
        return super().granted(tool, arguments, **{"account": ANNA, **options})

    @asynccontextmanager
    async def accounts(self) -> AsyncGenerator[Accounts]:
        """The accounts as another process of this server has them."""
        sign_in = MANIFEST.sign_in
        assert sign_in is not None
        accounts = Accounts(NAME, sign_in, partial(provider_of, sign_in.provider))
        accounts.use_settings(self.settings, SystemdSettings())
        async with accounts.opened():
            yield accounts

    async def sign_in(self, *capabilities: str, account: str = ANNA) -> Account:
        async with self.accounts() as accounts:
            begun = await accounts.begin(
                capabilities, redirect_uri="http://127.0.0.1:1/", account=account
            )
            back = await asyncio.to_thread(consented, begun.url)
            return await completed(accounts, back)

    async def make_default(self, account: str) -> None:
        async with self.accounts() as accounts:
            await accounts.make_default(account)

    async def forget(self, account: str = ANNA) -> None:
        async with self.accounts() as accounts:
            await accounts.forget(account)

    async def broken_row(self) -> int | None:
        """The first row of the audit trail that is not as it was written."""
        async with Ledger(self.data_dir / ledger_file(NAME)) as ledger:
            return await ledger.read(audit.first_broken)

    async def open_tickets(self) -> int:
        async with Ledger(self.data_dir / ledger_file(NAME)) as ledger:
            return len(await ledger.read(tickets.pending, 0.0))


@dataclass
class Person:
    """Somebody at a client: answers forms with yes, and goes where it is sent."""

    goes: Callable[[str], object] = clicked
    action: Any = "accept"
    """The answer to an address."""
    asked: list[str] = field(default_factory=list[str])
    """`form` or `url`, in order."""
    read: list[str] = field(default_factory=list[str])

    async def __call__(self, message: str, _type: object, params: Any, _ctx: Any) -> ElicitResult:
        self.read.append(message)
        if not isinstance(params, ElicitRequestURLParams):
            self.asked.append("form")
            return ElicitResult(action="accept", content={"approve": True})
        self.asked.append("url")
        if self.action == "accept":
            await asyncio.to_thread(self.goes, params.url)
        return ElicitResult(action=self.action)


async def made(client: Client[Any], tool: str, arguments: dict[str, Any], **meta: Any) -> Any:
    """The structured content of a call, good or bad."""
    sent = {f"flotilla/{name}": value for name, value in meta.items()}
    result = await client.call_tool(tool, arguments, raise_on_error=False, meta=sent)
    return result.structured_content or {"text": result.content[0].text}
