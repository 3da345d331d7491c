"""Pins every tool to the definition that was first seen, so that none changes unnoticed.

The rule. The first time a server lists tools, all of them are pinned. After that a tool whose
definition differs from its pin, or that has no pin, is held back until a person accepts it. There
is one exception: a server of our own fleet that reports another version than the pinned one was
upgraded together with us, so its whole list is pinned anew. Third-party servers never get that:
a version number costs an attacker nothing. A tool that goes away keeps its pin, and is fine when
it comes back unchanged.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.domain.servers import Trust
from orchestrator.errors import Conflict, NotFound
from orchestrator.tools.definitions import ListedTool


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PinnedTool(_Frozen):
    """One accepted definition."""

    sha256: str
    definition: ListedTool
    """Kept to show what changed."""


class PinnedServer(_Frozen):
    """All accepted definitions of one server."""

    server_version: str | None
    tools: dict[str, PinnedTool]


class PinsDocument(_Frozen):
    """The content of `data/tool_pins.json`."""

    version: Literal[1] = 1
    servers: dict[str, PinnedServer] = Field(default_factory=dict[str, PinnedServer])


class PinStore(Protocol):
    """Where the pins are kept between runs."""

    def read(self) -> PinsDocument: ...

    def write(self, document: PinsDocument) -> None: ...


@dataclass(frozen=True, slots=True)
class ToolChange:
    """A tool that is held back; `old` is None when the tool is new."""

    server: str
    tool: str
    old: ListedTool | None
    new: ListedTool
    sha256: str
    """Of the new definition: whoever accepts says which one was read."""


class ToolPins:
    """Judges the lists of all servers against their pins."""

    def __init__(self, store: PinStore) -> None:
        self._store = store
        self._servers = dict(store.read().servers)
        self._changes: dict[str, dict[str, ToolChange]] = {}

    def review(
        self, server: str, trust: Trust, version: str | None, tools: Sequence[ListedTool]
    ) -> frozenset[str]:
        """Return the names of the tools that are held back, pinning what the rule lets through."""
        pinned = self._servers.get(server)
        was_upgraded = pinned is not None and trust == "fleet" and version != pinned.server_version
        if tools and (pinned is None or was_upgraded):
            self._pin(server, PinnedServer(server_version=version, tools=_pins_of(tools)))
        return self.compare(server, tools)

    def compare(self, server: str, tools: Sequence[ListedTool]) -> frozenset[str]:
        """Return the names of the tools that are held back; of a server never seen, none is."""
        if server not in self._servers:
            return frozenset()
        pins = self._servers[server].tools
        self._changes[server] = {
            tool.name: ToolChange(server, tool.name, _old(pins, tool.name), tool, digest)
            for tool, digest in zip(tools, map(_sha256, tools), strict=True)
            if tool.name not in pins or pins[tool.name].sha256 != digest
        }
        return frozenset(self._changes[server])

    def changes(self, server: str) -> tuple[ToolChange, ...]:
        """Return what is held back on this server, by tool name."""
        return tuple(change for _, change in sorted(self._changes.get(server, {}).items()))

    def accept(self, server: str, tool: str, sha256: str) -> None:
        """Pin the definition that is held back.

        Raises NotFound, Conflict when it is another, StorageFull.
        """
        change = self._changes.get(server, {}).get(tool)
        if change is None:
            raise NotFound(f"No change of tool {tool!r} on server {server!r} waits for you.")
        if change.sha256 != sha256:
            raise Conflict(f"The tool {tool!r} has changed again. Read its new definition first.")
        pinned = self._servers[server]
        tools = pinned.tools | _pins_of([change.new])
        self._pin(server, pinned.model_copy(update={"tools": tools}))
        del self._changes[server][tool]

    def _pin(self, server: str, pinned: PinnedServer) -> None:
        servers = self._servers | {server: pinned}
        self._store.write(PinsDocument(servers=servers))
        self._servers = servers


def _pins_of(tools: Sequence[ListedTool]) -> dict[str, PinnedTool]:
    return {tool.name: PinnedTool(sha256=_sha256(tool), definition=tool) for tool in tools}


def _old(pins: Mapping[str, PinnedTool], tool: str) -> ListedTool | None:
    return pins[tool].definition if tool in pins else None


def _sha256(tool: ListedTool) -> str:
    return hashlib.sha256(tool.canonical_json().encode()).hexdigest()
