"""What changed about a tool, as text for the person who shall accept it."""

import json
from difflib import unified_diff
from itertools import chain

from orchestrator.tools.definitions import ListedTool
from orchestrator.tools.pins import ToolChange

MAX_COMPARED_LINES = 2_000
"""Above it the old text goes and the new one comes as a whole: comparing takes quadratic time."""


def change_text(change: ToolChange) -> str:
    """Return a unified diff from the old definition to the new one; hidden characters show."""
    old, new = _lines(change.old), _lines(change.new)
    if max(len(old), len(new)) > MAX_COMPARED_LINES:
        head = ["--- accepted", "+++ listed now", f"@@ -1,{len(old)} +1,{len(new)} @@"]
        return "\n".join(chain(head, (f"-{line}" for line in old), (f"+{line}" for line in new)))
    return "\n".join(unified_diff(old, new, "accepted", "listed now", lineterm=""))


def _lines(tool: ListedTool | None) -> list[str]:
    if tool is None:
        return []
    text = json.dumps(tool.model_dump(exclude_none=True), indent=2, ensure_ascii=False)
    return ["".join(map(_shown, line)) for line in text.split("\n")]


def _shown(character: str) -> str:
    return character if character.isprintable() else f"\\u{ord(character):04x}"
