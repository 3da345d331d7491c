"""What a person reads before deciding about a call."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from servers.kit.manifest import ToolManifest

MAX_VALUE_CHARS = 4_000
# Control and format characters could hide or reorder what is shown, surrogates break terminals.
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def question(
    *,
    title: str,
    server_title: str,
    arguments: Mapping[str, Any],
    is_undoable: bool,
    why: str,
    account: str | None,
    preview: str | None,
) -> str:
    """The whole of what is decided about: the tool, its arguments, and what cannot be reversed."""
    lines = [f"{server_title}: {title}", *([f"Account: {account}"] if account else [])]
    lines += readable(arguments) or ["No arguments."]
    lines += previewed(preview)
    lines += ["It can be undone." if is_undoable else "It cannot be undone.", why]
    return "\n".join(lines)


def previewed(preview: str | None) -> list[str]:
    """The lines for what a call would do, where its server could tell."""
    return [] if preview is None else ["What it would do:", preview]


def account_in(arguments: Mapping[str, Any], tool: ToolManifest) -> str | None:
    """The account that a call is for, where it names one."""
    account = arguments.get(tool.account) if tool.account is not None else None
    return None if account is None else one_line(str(account))


def readable(arguments: Mapping[str, Any], max_chars: int = MAX_VALUE_CHARS) -> list[str]:
    """A line per argument; longer texts follow, each line behind a bar that no text can fake."""
    lines: list[str] = []
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        left_out = len(text) - max_chars
        shown = [visible(line) for line in text[:max_chars].split("\n")]
        if left_out > 0:
            shown.append(f"[{left_out:,} more characters are not shown]")
        if len(shown) == 1:
            lines.append(f"{one_line(name)}: {shown[0]}")
        else:
            lines += [f"{one_line(name)}:", *(f"  | {line}" for line in shown)]
    return lines


def one_line(text: str, max_chars: int = 200) -> str:
    """`text` as a single line of visible characters."""
    shown = visible(text)
    return shown if len(shown) <= max_chars else f"{shown[:max_chars]}..."


def visible(text: str) -> str:
    """`text` with each character that cannot be seen written as its number."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"<U+{ord(char):04X}>" if unicodedata.category(char) in _HIDDEN else char for char in text
    )
