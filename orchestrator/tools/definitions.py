"""Turns the tools a server lists into definitions a model may safely read."""

import json
from collections.abc import Iterable
from typing import Any, cast

from mcp.types import Tool
from pydantic import BaseModel, ConfigDict

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import ToolDefinition
from orchestrator.domain.visible import without_hidden
from orchestrator.tools.names import qualified_name
from orchestrator.tools.policy import POLICY_KEY, effects_of

MAX_TOOLS = 512
MAX_SCHEMA_BYTES = 64 * 1024
MAX_LIST_BYTES = 2 * 1024 * 1024
MAX_NAME_LENGTH = 256
MAX_DESCRIPTION_LENGTH = 2048
_MAX_TITLE_LENGTH = 120
_PROSE_KEYS = frozenset({"description", "title", "$comment"})


class ListedTool(BaseModel):
    """A tool exactly as its server lists it, as far as it matters to a caller."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str | None = None
    description: str | None = None
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    policy: Any = None
    """What stands under `flotilla/policy` in its `_meta`, not judged yet."""

    def canonical_json(self) -> str:
        """Return the same text for the same definition, whatever the order of its keys."""
        # Without a policy the text stays what it was before there were any: pins hold its hash.
        left_out = {"policy"} if self.policy is None else None
        return json.dumps(self.model_dump(exclude=left_out), sort_keys=True, separators=(",", ":"))


def listed_tool(tool: Tool) -> ListedTool:
    """Return what is kept of a tool as the SDK read it."""
    annotations = tool.annotations
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=annotations.model_dump(exclude_none=True, by_alias=True)
        if annotations
        else None,
        policy=(tool.meta or {}).get(POLICY_KEY),
    )


class ToolListing:
    """Collects tools page by page up to fixed bounds; `is_cut` tells when any was left out."""

    def __init__(self) -> None:
        self._tools: dict[str, ListedTool] = {}
        self._bytes = 0
        self.is_cut = False
        self.lifetime_s: float | None = None
        """For how long the server says that its list is good."""

    @property
    def is_full(self) -> bool:
        return len(self._tools) >= MAX_TOOLS or self._bytes >= MAX_LIST_BYTES

    @property
    def tools(self) -> tuple[ListedTool, ...]:
        """The tools by name, because an order that wanders costs the model's prompt cache."""
        return tuple(self._tools[name] for name in sorted(self._tools))

    def add(self, tools: Iterable[Tool]) -> None:
        for tool in map(listed_tool, tools):
            size = len(tool.canonical_json())
            is_usable = (
                size <= MAX_SCHEMA_BYTES
                and 0 < len(tool.name) <= MAX_NAME_LENGTH
                and tool.name.isprintable()
                and visible_text(tool.name, MAX_NAME_LENGTH) == tool.name
            )
            if self.is_full or not is_usable:
                self.is_cut = True
                continue
            self._bytes += size
            self._tools.setdefault(tool.name, tool)


def definition_of(tool: ListedTool, server: ServerConfig) -> ToolDefinition:
    """Return the definition for a model; only our own fleet is believed about effects."""
    hints = tool.annotations or {}
    effects = effects_of(tool.policy, hints, server.trust)
    title = tool.title or hints.get("title")
    return ToolDefinition(
        qualified_name=qualified_name(server.id, tool.name),
        server=server.id,
        name=tool.name,
        title=visible_text(title, _MAX_TITLE_LENGTH) if isinstance(title, str) else tool.name,
        description=visible_text(tool.description or "", MAX_DESCRIPTION_LENGTH),
        input_schema=cast("dict[str, Any]", _visible_schema(tool.input_schema)),
        read_only=effects.read_only,
        idempotent=effects.idempotent,
        labels=effects.labels,
        level=effects.level,
        effect=effects.effect,
        destinations=effects.destinations,
        account_argument=effects.account_argument,
        undoable=effects.undoable,
        is_journalled=effects.is_journalled,
        has_preview=effects.has_preview,
        capability=effects.capability,
    )


def visible_text(text: str, max_length: int) -> str:
    """Return `text` without terminal codes and characters no reader can see, cut to a length."""
    plain = without_hidden(text)
    return plain if len(plain) <= max_length else plain[: max_length - 1] + "…"


def _visible_schema(node: object) -> object:
    """Clean the prose of a schema and leave its names and values exactly as they are."""
    if isinstance(node, list):
        return [_visible_schema(item) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    return {
        key: visible_text(value, MAX_DESCRIPTION_LENGTH)
        if key in _PROSE_KEYS and isinstance(value, str)
        else _visible_schema(value)
        for key, value in cast("dict[str, object]", node).items()
    }
