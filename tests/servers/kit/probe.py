"""A server with a tool for each thing the kit must hold; runs as a program of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastmcp import Context, FastMCP
from pydantic import BaseModel, Field

from servers.kit.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from servers.kit.manifest import Manifest
from servers.kit.preload import preload
from servers.kit.serve import serve
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings

SECRET = "secret-of-the-upstream"
TOOLS = ("add", "fail", "crash", "long_text", "wait")


class Sum(BaseModel):
    total: int


class Text(BaseModel):
    text: str


def probe_manifest(*tools: str) -> Manifest:
    return Manifest.model_validate(
        {
            "name": "probe",
            "title": "Probe",
            "description": "For tests.",
            "port": 9999,
            "tier": "bronze",
            "tools": {tool: {"labels": ["read"]} for tool in tools},
        }
    )


def probe_server(log: Path | None = None) -> FleetServer[str]:
    """The server; `log`, if given, gets a line when the lifespan begins and when it ends."""

    @asynccontextmanager
    async def lifespan(server: FastMCP[str]) -> AsyncGenerator[str]:
        note(log, "begun")
        yield "held"
        note(log, "ended")

    mcp = FleetServer(probe_manifest(*TOOLS), instructions="For tests.", lifespan=lifespan)
    add_tools(mcp)
    return mcp


def note(log: Path | None, line: str) -> None:
    if log is not None:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def add_tools(mcp: FleetServer[str]) -> None:
    @mcp.fleet_tool
    def add(
        left: Annotated[int, Field(description="A number.", le=1_000)],
        right: Annotated[int, Field(description="Another.")] = 0,
    ) -> Sum:
        """Add two numbers."""
        return Sum(total=left + right)

    @mcp.fleet_tool
    async def fail(kind: Annotated[str, Field(description="Which error.")]) -> Sum:
        """Fail in a way the model may read."""
        raise {
            "input": InvalidInput("limit is 90: use 1 to 50."),
            "missing": NotFound("There is no file '/x'."),
            "denied": NotAllowed("Sign in again at Settings > Accounts."),
            "away": Unavailable("The upstream does not answer.", retry_after_s=7),
        }[kind]

    @mcp.fleet_tool
    async def crash() -> Sum:
        """Fail in a way nobody may read."""
        raise RuntimeError(SECRET)

    @mcp.fleet_tool
    async def long_text(size: Annotated[int, Field(description="Characters.")]) -> Text:
        """Give a long text."""
        return Text(text="x" * size)

    @mcp.fleet_tool
    async def wait(ctx: Context, seconds: Annotated[float, Field(description="How long.")]) -> Text:
        """Wait, and tell that waiting began."""
        await ctx.report_progress(1, 2, mcp.lifespan_value)
        await asyncio.sleep(seconds)
        return Text(text=mcp.lifespan_value)


def main() -> None:
    options = json.loads(sys.argv[1])
    log = Path(options["log"]) if "log" in options else None
    preload()
    loaded = set(sys.modules)
    serve(
        probe_server(log),
        KitSettings(server_port=0),
        on_ready=lambda url: print(json.dumps({"url": url}), flush=True),
        receive_deadline_s=options.get("deadline_s", 30.0),
    )
    note(log, f"loaded {json.dumps(sorted(set(sys.modules) - loaded))}")


if __name__ == "__main__":
    main()
