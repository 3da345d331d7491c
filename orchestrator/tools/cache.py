"""The last known tool list of every server, so that a dead one is still known after a restart."""

import asyncio
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.store.json_file import read_json_document, write_json_document
from orchestrator.tools.definitions import ListedTool, visible_text

_VERSION: Final = 2
"""Version 1 did not keep what a server says of the effects of its tools."""
_MAX_VERSION_LENGTH = 64
_MAX_INSTRUCTIONS_LENGTH = 4096


class CachedList(BaseModel):
    """The content of `data/cache/tools/<server>.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1, 2] = _VERSION
    url: str = ""
    """A list is not believed after the server moved."""
    server_version: str | None = None
    instructions: str | None = None
    tools: tuple[ListedTool, ...] = ()


def known_list(
    url: str, version: str | None, instructions: str | None, tools: tuple[ListedTool, ...]
) -> CachedList:
    """Return what to keep of a server that listed these tools and said that of itself."""
    return CachedList(
        url=url,
        server_version=visible_text(version or "", _MAX_VERSION_LENGTH) or None,
        instructions=visible_text(instructions or "", _MAX_INSTRUCTIONS_LENGTH) or None,
        tools=tools,
    )


class ListCache:
    """Reads and replaces one file per server."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, server: str, url: str) -> CachedList:
        """Return the last list of this server at this address, or an empty one."""
        cached = read_json_document(self._path(server), CachedList, CachedList())
        is_good = cached.version == _VERSION and cached.url == url
        return cached if is_good else CachedList()

    async def write(self, server: str, listing: CachedList) -> None:
        await asyncio.to_thread(write_json_document, self._path(server), listing)

    def _path(self, server: str) -> Path:
        return self._directory / f"{server}.json"
