"""Tool results in Markdown for people."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from orchestrator.practice.json_objects import is_object, object_in

INTRODUCTION = """I am Flotilla's practice model: a small program on this machine, not a real \
language model. To talk with a real one, set `OPENROUTER_API_KEY` and start Flotilla again.

What I understand, when the tools for it are there:

- arithmetic: *what is 17% of 2,340*
- units: *5 miles in km*
- dates: *how many days until 2026-12-25*
- times: *what time is it in Lisbon*, *3pm in Tokyo in Berlin time*
- your old chats: *search my chats for invoice*
- any tool by its name: `/call server__tool {"argument": "value"}`

You can ask for several of these in one message. To see what the page can do, try `/markdown`, \
`/long 20` or `/think`."""

NOTHING_MORE = "That was all I had to say."

_MAX_SHOWN_CHARS = 6_000
_ANSWER_KEYS = ("result", "answer", "value", "converted", "approx")
_TIME_KEYS = ("time", "local_time", "now", "result")


def missing_tool(tool: str, label: str) -> str:
    """Return the sentence for a wish whose tool is not offered."""
    server = tool.partition("__")[0]
    return (
        f"For “{label}” I need the tool `{tool}`, which is not offered in this chat. "
        f"*Servers* on the page says whether *{server}* is there."
    )


def answer_for(tool: str, label: str, content: str) -> str:
    """Return what one tool result means; the text as it is when it is not understood."""
    result = object_in(content)
    name = tool.rpartition("__")[2]
    if result is None or "error" in result:
        return _plain(tool, label, content if result is None else str(result["error"]))
    if name == "search_history":
        return _hits(label, result)
    if name in ("now", "convert_time"):
        return _time(tool, label, result)
    for key in _ANSWER_KEYS:
        if isinstance(result.get(key), str | int | float):
            # As code: the stars of a formula would be read as emphasis.
            shown = f"`{label}` =" if name == "evaluate" else f"{_capital(label)}:"
            return f"{shown} **{_number(result, key)}**"
    return explicit(tool, content)


def explicit(tool: str, content: str) -> str:
    """Return the result of `/call` in full."""
    result = object_in(content)
    if result is None:
        return f"`{tool}` answered:\n\n{_quoted(content)}"
    text = _capped(json.dumps(result, indent=2, ensure_ascii=False))
    return f"`{tool}` answered:\n\n```json\n{text}\n```"


def _plain(tool: str, label: str, content: str) -> str:
    return f"{_capital(label)}: `{tool}` gave no result but said:\n\n{_quoted(content)}"


def _number(result: dict[str, Any], key: str) -> str:
    value, unit = result[key], result.get("unit") or result.get("to_unit")
    text = str(value)
    return f"{text} {unit.replace('_', ' ')}" if isinstance(unit, str) else text


def _time(tool: str, label: str, result: dict[str, Any]) -> str:
    text = next((str(result[key]) for key in _TIME_KEYS if result.get(key)), "")
    if not text:
        return explicit(tool, json.dumps(result))
    zone, note = result.get("zone"), result.get("note")
    parts = [f"{_capital(label)}: **{_moment(text)}**"]
    parts += [f"({zone})"] if zone else []
    parts += [f"– {note}"] if note else []
    return " ".join(parts)


def _moment(text: str) -> str:
    """Return a time of RFC 3339 as people write it, other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%H:%M}, {moment:%A} {moment.day} {moment:%B %Y}"


def _hits(label: str, result: dict[str, Any]) -> str:
    lists: list[Any] = [value for value in result.values() if isinstance(value, list)]
    hits: Sequence[Any] = lists[0] if lists else []
    if not hits:
        return f"I found nothing about “{label}” in your chats."
    lines = [f"I found “{label}” in {len(hits)} {'place' if len(hits) == 1 else 'places'}:", ""]
    lines += [f"- {_hit(hit)}" for hit in hits[:20]]
    return "\n".join(lines)


def _hit(hit: Any) -> str:
    if not is_object(hit):
        return _one_line(str(hit))
    title = hit.get("title") or hit.get("session_title") or hit.get("session_id") or ""
    text = next((str(v) for k, v in hit.items() if "snippet" in k or "text" in k), "")
    return f"**{_one_line(str(title))}**: {_one_line(text)}" if text else _one_line(str(title))


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in _capped(text).splitlines()) or "> (nothing)"


def _capped(text: str) -> str:
    if len(text) <= _MAX_SHOWN_CHARS:
        return text
    return text[:_MAX_SHOWN_CHARS] + f"\n… and {len(text) - _MAX_SHOWN_CHARS:,} characters more"


def _one_line(text: str) -> str:
    return " ".join(text.replace("\x02", "**").replace("\x03", "**").split())[:300]


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:]
