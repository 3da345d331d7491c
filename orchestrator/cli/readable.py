"""What others wrote, as text that cannot deceive the person who reads it in a terminal."""

import json
from typing import Any


def plain(text: str) -> str:
    """Return `text` on one line; what does not print (escapes, bidi) shows as a code."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def approval_text(approval: dict[str, Any]) -> str:
    """Return all that the owner has to know to decide, over several lines."""
    lines = [f"{approval['id']}  {plain(approval['title'])} ({approval['tool']})"]
    lines += [f"  {name:<10}{text}" for name, text in _facts(approval).items() if text]
    lines.append("  runs with")
    ran = approval["arguments_to_run"]
    arguments = approval["arguments"] if ran is None else ran
    lines += _argument_lines(arguments) or ["    no arguments"]
    return "\n".join(lines)


def _facts(approval: dict[str, Any]) -> dict[str, str]:
    return {
        "asked by": f"{plain(approval['client'])}, at {approval['created_at']}",
        "until": approval["expires_at"],
        "account": plain(approval["account"] or ""),
        "because": plain(approval["reason"]),
        "has read": ", ".join(plain(source) for source in approval["taint"]),
        "undo": "one click" if approval["undoable"] else "cannot be undone",
    }


def _argument_lines(arguments: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = [plain(line) for line in text.split("\n")]
        lines.append(f"    {plain(name)}: {first}")
        # Marked, so that a text with line breaks cannot pose as another argument.
        lines += [f"      | {line}" for line in rest]
    return lines
