"""Where foreign text in a chat came from."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from orchestrator.domain.tools import ToolDefinition, ToolResult

MAX_SOURCES = 12
MAX_SOURCES_PER_RESULT = 3
MAX_SOURCE_CHARS = 80
_MAX_VALUES = 20_000
_NOTHING_READ = frozenset({"denied", "cancelled"})
_NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class Taint:
    """The foreign text a chat has read so far, by its sources in words for the owner."""

    sources: tuple[str, ...] = ()

    @property
    def is_tainted(self) -> bool:
        return bool(self.sources)

    def plus(self, sources: Iterable[str]) -> "Taint":
        """The same with more sources, each once, the first MAX_SOURCES of them."""
        known = dict.fromkeys((*self.sources, *sources))
        return Taint(tuple(known)[:MAX_SOURCES])


NO_TAINT = Taint()


def sources_of(tool: ToolDefinition, result: ToolResult) -> tuple[str, ...]:
    """Where the foreign text of a result came from; empty when it holds none.

    A call that failed counts as read: the message of an error is the server's text.
    """
    if "untrusted" not in tool.labels:
        return ()
    if result.status in _NOTHING_READ or result.error_code == _NOT_RUN:
        return ()
    said = (clean_source(source) for source in _declared_sources(result.structured))
    sources = tuple(dict.fromkeys(filter(None, said)))[:MAX_SOURCES_PER_RESULT]
    return sources or (clean_source(f"{tool.title} ({tool.server})") or tool.server,)


def clean_source(text: str) -> str:
    """`text` on one line, without hidden or control characters, at most MAX_SOURCE_CHARS."""
    # A sender chooses his own name: it must neither hide nor turn the sentence it stands in.
    visible = "".join(
        " " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character
        for character in text[: MAX_SOURCE_CHARS * 10]
        if unicodedata.category(character) not in ("Cf", "Cs", "Co", "Cn")
    )
    line = re.sub(r"\s+", " ", visible).strip()
    return line if len(line) <= MAX_SOURCE_CHARS else line[: MAX_SOURCE_CHARS - 1].rstrip() + "…"


def _declared_sources(structured: Any) -> Iterator[str]:
    """The `source` beside each `untrusted_*` field, in the order of the result."""
    waiting: list[object] = [structured]
    for _ in range(_MAX_VALUES):
        if not waiting:
            return
        value = waiting.pop()
        # `cast`: of a JSON value no type is known but that it is one.
        if isinstance(value, list):
            waiting.extend(reversed(cast("list[object]", value)))
        elif isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            source = _source_beside_foreign_text(fields)
            if source is not None:
                yield source
            waiting.extend(reversed(fields.values()))


def _source_beside_foreign_text(fields: dict[str, object]) -> str | None:
    source = fields.get("source")
    has_text = any(
        name.startswith("untrusted_") and text is not None for name, text in fields.items()
    )
    return source if has_text and isinstance(source, str) else None
