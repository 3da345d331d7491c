"""Turns what a tool returned into what the model reads and what the person sees."""

import base64
import binascii
import json
from dataclasses import replace
from typing import Any, assert_never

from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceContents,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import FileLink, ToolMedia, ToolResult
from orchestrator.tools.call_meta import effects_in, undo_in
from orchestrator.tools.gate_errors import gate_error_in
from orchestrator.tools.server_files import file_link

MAX_TEXT_LENGTH = 32_000
MAX_STRUCTURED_BYTES = 256 * 1024
MAX_MEDIA_BYTES = 6 * 1024 * 1024
MAX_MEDIA = 16
MAX_LINKS = 20
_MAX_ERROR_LENGTH = 300
_MAX_MIME_LENGTH = 100


def tool_result(result: CallToolResult, server: ServerConfig) -> ToolResult:
    """Return the result in our words; text is capped, media are decoded, data comes once.

    What is to be kept as files is not in the text: who keeps them names them there.
    Only a server of the fleet is believed about why it ran nothing and how to undo.
    """
    if server.trust != "fleet":
        return _plain_result(result, server)
    refusal = gate_error_in(result)
    if refusal is not None:
        text = capped_text(refusal.message)
        if refusal.status == "done":
            return ToolResult("done", text, effects=effects_in(result))
        error = text[:_MAX_ERROR_LENGTH]
        return ToolResult(refusal.status, text, refusal.structured, (), error, refusal.code)
    plain = _plain_result(result, server)
    return replace(plain, undo=undo_in(result, server), effects=effects_in(result))


def _plain_result(result: CallToolResult, server: ServerConfig) -> ToolResult:
    lines: list[str] = []
    media: list[ToolMedia] = []
    links: list[FileLink] = []
    for block in result.content:
        match block:
            case TextContent():
                lines.append(block.text)
            case ImageContent() | AudioContent():
                _add_media(media, lines, block.data, block.mime_type, None)
            case ResourceLink():
                _add_link(links, lines, block, server)
            case EmbeddedResource():
                _add_resource(media, lines, block.resource)
            case _:
                assert_never(block)
    structured, data = _structured(result.structured_content)
    text = "\n".join(lines)
    if data is not None and not _says_the_same(text, result.structured_content):
        text = f"{text}\n{data}" if text else data
    whole, text = text, capped_text(text)
    told = ToolResult(
        "done",
        text,
        structured,
        tuple(media),
        links=tuple(links),
        whole_text=None if whole == text else whole,
    )
    if not result.is_error:
        return told
    error = next((line for line in text.splitlines() if line.strip()), "the tool reported an error")
    return replace(
        told,
        status="failed",
        text=text or error,
        error=error[:_MAX_ERROR_LENGTH],
        error_code="tool_failed",
    )


def capped_text(text: str, max_length: int = MAX_TEXT_LENGTH) -> str:
    """Return `text`, or its beginning and a note that says how much is missing."""
    if len(text) <= max_length:
        return text
    room = max_length - len(_cut_note(len(text), len(text)))
    if "\ud800" <= text[room - 1] <= "\udbff":
        room -= 1  # Keeps the two halves of a character together.
    return text[:room] + _cut_note(len(text) - room, len(text))


def _cut_note(missing: int, total: int) -> str:
    return f"\n[cut here: {missing:,} of {total:,} characters are left out]"


def _add_media(
    media: list[ToolMedia], lines: list[str], data: str, mime_type: str | None, name: str | None
) -> None:
    mime_type = (mime_type or "application/octet-stream")[:_MAX_MIME_LENGTH]
    if (
        len(media) >= MAX_MEDIA
        or sum(len(item.data) for item in media) + len(data) * 3 // 4 > MAX_MEDIA_BYTES
    ):
        lines.append(f"[left out: {mime_type}, because the result holds too much media]")
        return
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        lines.append(f"[left out: {mime_type}, because its data is not base64]")
        return
    media.append(ToolMedia(mime_type, content, name))


def _add_resource(media: list[ToolMedia], lines: list[str], resource: ResourceContents) -> None:
    if isinstance(resource, TextResourceContents):
        lines.append(resource.text)
    elif isinstance(resource, BlobResourceContents):
        name = str(resource.uri).rstrip("/").rpartition("/")[2]
        _add_media(media, lines, resource.blob, resource.mime_type, name or None)


def _add_link(
    links: list[FileLink], lines: list[str], block: ResourceLink, server: ServerConfig
) -> None:
    link = file_link(block, server)
    if link is None or len(links) >= MAX_LINKS:
        lines.append(_link_line(block))
    else:
        links.append(link)


def _link_line(link: ResourceLink) -> str:
    kind = f", {link.mime_type[:_MAX_MIME_LENGTH]}" if link.mime_type else ""
    return f"[resource: {link.title or link.name}, {link.uri}{kind}]"


def _structured(content: object) -> tuple[Any, str | None]:
    """Return the data for programs, and its JSON for the model; both None when there is none."""
    if content is None:
        return None, None
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return (content if len(text) <= MAX_STRUCTURED_BYTES else None), text


def _says_the_same(text: str, content: object) -> bool:
    """Tell whether the text is the data over again, as servers send it for older clients.

    FastMCP wraps results that are no object as `{"result": ...}`.
    """
    forms = [content]
    if isinstance(content, dict) and list(content) == ["result"]:  # pyright: ignore[reportUnknownArgumentType]
        forms.append(content["result"])  # pyright: ignore[reportUnknownArgumentType]
    if text in forms:
        return True
    try:
        return json.loads(text) in forms
    except (ValueError, RecursionError):
        return False
