"""A server of the fleet that works with accounts: it asks the fake Google whose they are.

It has the name and the files of the effects server, so that what is made for that one can be used:
`python -m tests.fakes.sign_in_server --effects FILE [--stdio [--read-only]] [--port PORT]`.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import httpx2
from pydantic import BaseModel, Field

from servers.kit.accounts import AccountArgument
from servers.kit.manifest import Manifest
from servers.kit.previews import Preview, PreviewLine
from servers.kit.server import FleetServer
from tests.fakes.effects_server import NAME, PORT, main, note_effect

_SCOPES = "https://www.googleapis.com/auth"
READ, WRITE = f"{_SCOPES}/tasks.readonly", f"{_SCOPES}/tasks"
MANIFEST = Manifest.model_validate(
    {
        "name": NAME,
        "title": "Errands",
        "description": "Does errands for an account.",
        "port": PORT,
        "tier": "bronze",
        "sign_in": {
            "provider": "google",
            "capabilities": {
                "read": {"title": "read your errands", "scopes": [READ]},
                "write": {"title": "change your errands", "scopes": [READ, WRITE]},
            },
        },
        "tools": {
            "read_errand": {
                "labels": ["read", "private"], "capability": "read", "account": "account",
            },
            "add_errand": {
                "labels": ["write"], "level": 1, "capability": "write", "account": "account",
            },
            "send_errand": {
                "labels": ["write", "egress"], "level": 3, "destinations": ["to"],
                "capability": "write", "account": "account",
            },
            "delete_errand": {
                "labels": ["write", "destructive"], "level": 2, "capability": "write",
                "account": "account",
            },
            "plan_errand": {
                "labels": ["write"], "level": 2, "capability": "write", "account": "account",
            },
            "tell_time": {"labels": ["write"], "level": 2},
        },
    }
)  # fmt: skip

Text = Annotated[str, Field(description="Which errand.", max_length=200)]


class Done(BaseModel):
    account: str
    errand: str


def sign_in_server(effects: Path) -> FleetServer[object]:
    """The server; each effect appends one line to the file `effects`."""
    mcp = FleetServer[object](MANIFEST, instructions="For tests.")
    _add_tools(mcp, effects)
    return mcp


async def owner_of(mcp: FleetServer[object], account: str | None, capability: str) -> str:
    """Whose account it is, as the vendor says, with one renewal as any client does it."""
    token = await mcp.accounts.access(account, capability)
    async with httpx2.AsyncClient(trust_env=False) as http:
        for _ in range(2):
            answer = await http.get(
                os.environ["GOOGLE_USERINFO_URI"],
                headers={"Authorization": f"Bearer {token.token}"},
            )
            if answer.status_code == 200:
                return answer.json()["email"]
            token = await mcp.accounts.renewed(token, capability)
    raise RuntimeError("the vendor takes no token")


def _add_tools(mcp: FleetServer[object], effects: Path) -> None:
    @mcp.fleet_tool
    async def read_errand(errand: Text, account: AccountArgument = None) -> Done:
        """Read an errand."""
        return Done(account=await owner_of(mcp, account, "read"), errand=errand)

    @mcp.fleet_tool
    async def add_errand(errand: Text, account: AccountArgument = None) -> Done:
        """Add an errand."""
        owner = await owner_of(mcp, account, "write")
        note_effect(effects, "add_errand", errand=errand)
        return Done(account=owner, errand=errand)

    @mcp.fleet_tool
    async def send_errand(
        errand: Text,
        to: Annotated[str, Field(description="Who gets it.", max_length=200)],
        account: AccountArgument = None,
    ) -> Done:
        """Send an errand to somebody."""
        owner = await owner_of(mcp, account, "write")
        note_effect(effects, "send_errand", errand=errand, to=to)
        return Done(account=owner, errand=errand)

    @mcp.fleet_tool
    async def delete_errand(errand: Text, account: AccountArgument = None) -> Done:
        """Delete an errand."""
        owner = await owner_of(mcp, account, "write")
        note_effect(effects, "delete_errand", errand=errand)
        return Done(account=owner, errand=errand)

    @mcp.fleet_tool
    async def plan_errand(errand: Text, account: AccountArgument = None) -> Done:
        """Plan an errand."""
        owner = await owner_of(mcp, account, "write")
        note_effect(effects, "plan_errand", errand=errand)
        return Done(account=owner, errand=errand)

    @mcp.preview_of("plan_errand")
    async def preview(errand: str, account: str | None = None) -> Preview:
        if errand == "endless":
            await asyncio.Event().wait()
        owner = await owner_of(mcp, account, "write")
        return Preview(lines=[PreviewLine(name="For", value=owner)], text=f"Fetch {errand}.")

    @mcp.fleet_tool
    async def tell_time(to: Text) -> Done:
        """Tell somebody the time, which needs no account."""
        note_effect(effects, "tell_time", to=to)
        return Done(account="", errand=to)


if __name__ == "__main__":
    main(sign_in_server)
