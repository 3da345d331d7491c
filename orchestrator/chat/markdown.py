"""A session as Markdown for people: the branch that is shown, its tool calls folded."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from orchestrator.domain.chat import AttachmentShown, Message, Session, ToolCallRecord, Turn


def as_markdown(session: Session, branch: Sequence[Message], turns: Iterable[Turn]) -> str:
    """Return the whole document; what was written stays as it was written."""
    models = {turn.id: turn.model for turn in turns}
    parts = [f"# {_line(session.title)}", f"*Started {session.created_at}*"]
    speaker: tuple[str, str | None] | None = None
    for message in branch:
        if message.tool_call is not None:
            parts.append(_call(message.tool_call))
            continue
        if (message.role, message.turn_id) != speaker:
            parts.append(_heading(message, models))
        speaker = (message.role, message.turn_id)
        parts += [text for text in (message.content.strip(), _sources(message)) if text]
        parts += [_file(file) for file in message.attachments]
        if not message.complete:
            parts.append("*(The answer stopped here.)*")
    return "\n\n".join(parts) + "\n"


def _heading(message: Message, models: Mapping[str, str]) -> str:
    if message.role == "user":
        return f"## You\n\n*{message.created_at}*"
    model = models.get(message.turn_id or "")
    by = f", {_line(model)}" if model else ""
    return f"## Assistant\n\n*{message.created_at}{by}*"


def _call(call: ToolCallRecord) -> str:
    arguments = call.arguments if call.ran_arguments is None else call.ran_arguments
    shown = json.dumps(arguments, ensure_ascii=False, indent=2)
    parts = [
        f"<details>\n<summary>{escape(call.tool)}: {call.state}</summary>",
        _fenced(shown, "json"),
        _fenced(call.text or call.error or "(no text)", "text"),
        *(_file(file) for file in call.attachments),
        "</details>",
    ]
    return "\n\n".join(parts)


def _fenced(text: str, language: str) -> str:
    """Return a code block that nothing in `text` can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _sources(message: Message) -> str:
    return "\n".join(
        f"- {_line(source.get('title') or source['url'])}: <{_line(source['url'])}>"
        for source in message.sources
        if "url" in source
    )


def _file(file: AttachmentShown) -> str:
    if file.deleted:
        return "*(A file that has been deleted.)*"
    return f"*File: {_line(file.name)} ({file.mime}, {file.size_bytes:,} bytes)*"


def _line(text: str) -> str:
    """Return `text` on one line, as text: no mark in it is one of Markdown's."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))
