"""A server of the fleet whose tools take and return files.

`python -m tests.fakes.files_server [--stdio] [--port PORT]`; the rest, as of any server, comes from
the environment. Prints `{"url": ...}` when it listens.
"""

import argparse
import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastmcp import Context
from pydantic import BaseModel, Field

from servers.kit.errors import Unavailable
from servers.kit.files import StoredFile
from servers.kit.manifest import Manifest
from servers.kit.preload import preload
from servers.kit.serve import serve, serve_stdio
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings

NAME = "files"
MANIFEST = Manifest.model_validate(
    {
        "name": NAME,
        "title": "Files",
        "description": "Keeps what it is told.",
        "port": 9191,
        "tier": "bronze",
        "tools": {
            "save_text": {"labels": ["write"], "level": 1},
            "fetch_file": {"labels": ["read"]},
            "copy_file": {"labels": ["write"], "level": 1},
            "make_report": {"labels": ["read"]},
            "break_upload": {"labels": ["read"]},
            "stall_upload": {"labels": ["read"]},
        },
    }
)
BLOCK = b"0123456789abcde\n" * 4_096

AttachmentId = Annotated[str, Field(description="Which file.", max_length=200)]
FileName = Annotated[str, Field(description="What it is called.", max_length=1_000)]


class Kept(BaseModel):
    attachment_id: str
    name: str
    mime: str
    size_bytes: int


class Fetched(BaseModel):
    size_bytes: int
    sha256: str


def files_server() -> FleetServer[object]:
    """The server."""
    mcp = FleetServer[object](MANIFEST, instructions="For tests.")
    _add_saving(mcp)
    _add_reading(mcp)
    _add_trouble(mcp)
    return mcp


def _add_saving(mcp: FleetServer[object]) -> None:
    @mcp.fleet_tool
    async def save_text(
        name: FileName, text: Annotated[str, Field(description="What is in it.")]
    ) -> Kept:
        """Keep a text as a file."""
        return _shown(await mcp.files.save(name, text.encode()))

    @mcp.fleet_tool
    async def copy_file(attachment_id: AttachmentId, name: FileName) -> Kept:
        """Keep a copy of a file."""
        source = await mcp.files.info(attachment_id)
        async with aclosing(mcp.files.open(attachment_id)) as chunks:
            return _shown(await mcp.files.save(name, chunks, mime=source.mime))

    @mcp.fleet_tool
    async def make_report(
        name: FileName, megabytes: Annotated[int, Field(description="How large.", ge=0)]
    ) -> Kept:
        """Make a long text."""
        return _shown(await mcp.files.save(name, _blocks(megabytes)))


def _add_reading(mcp: FleetServer[object]) -> None:
    @mcp.fleet_tool
    async def fetch_file(
        attachment_id: AttachmentId, start: Annotated[int, Field(description="From where.")] = 0
    ) -> Fetched:
        """Read a file."""
        found = hashlib.sha256()
        size_bytes = 0
        async with aclosing(mcp.files.open(attachment_id, start=start)) as chunks:
            async for chunk in chunks:
                found.update(chunk)
                size_bytes += len(chunk)
        return Fetched(size_bytes=size_bytes, sha256=found.hexdigest())


def _add_trouble(mcp: FleetServer[object]) -> None:
    @mcp.fleet_tool
    async def break_upload(name: FileName) -> Kept:
        """Keep a file whose source breaks off."""

        async def broken() -> AsyncIterator[bytes]:
            yield BLOCK
            yield BLOCK
            raise Unavailable("The source broke off.")

        return _shown(await mcp.files.save(name, broken()))

    @mcp.fleet_tool
    async def stall_upload(ctx: Context, name: FileName) -> Kept:
        """Keep a file whose source never ends, and tell when some of it was taken."""

        async def stalled() -> AsyncIterator[bytes]:
            for _ in range(8):
                yield BLOCK
            await ctx.report_progress(1, 2)
            await asyncio.Event().wait()

        return _shown(await mcp.files.save(name, stalled()))


async def _blocks(megabytes: int) -> AsyncIterator[bytes]:
    for _ in range(megabytes * 16):
        yield BLOCK


def _shown(stored: StoredFile) -> Kept:
    return Kept(
        attachment_id=stored.attachment_id,
        name=stored.name,
        mime=stored.mime,
        size_bytes=stored.size_bytes,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    settings = KitSettings().model_copy(update={"server_port": options.port})
    if options.stdio:
        serve_stdio(files_server(), settings)
        return
    preload()
    serve(
        files_server(), settings, on_ready=lambda url: print(json.dumps({"url": url}), flush=True)
    )


if __name__ == "__main__":
    main()
