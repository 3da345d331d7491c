"""Stored messages as the model reads them: only what the wire format knows, and always valid."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.chat.file_words import named
from orchestrator.domain.chat import AttachmentShown, Message, RequestedToolCall

WireMessage = dict[str, Any]

NO_RESULT = "No result: the turn stopped before this call ended."
UNDONE = "\n[The owner undid this afterwards: it is not in effect any more.]"
CONTINUE = "Your last answer was cut off. Continue exactly where it stopped, without repeating it."


def to_wire(
    messages: Iterable[Message], files: Mapping[str, list[dict[str, Any]]]
) -> list[WireMessage]:
    """Return `messages`, oldest first, in OpenAI chat terms.

    `files` has, by message id, the parts that show the files that came with messages of the owner.
    Every tool call is answered directly after the message that made it: providers refuse the whole
    request otherwise.
    """
    wire: list[WireMessage] = []
    open_calls: dict[str, str] = {}
    for message in messages:
        if message.role != "tool":
            wire.extend(_unanswered(open_calls))
            open_calls = {call.tool_call_id: call.tool for call in message.tool_calls}
        if message.role == "user":
            wire.append(_user_message(message.content, files.get(message.id, ())))
        elif message.role == "assistant":
            text = with_images(message.content, message.attachments)
            if text or message.tool_calls:
                details = message.reasoning_details if message.complete else []
                wire.append(assistant_message(text, message.tool_calls, details))
        elif message.tool_call is not None:
            call = message.tool_call
            if open_calls.pop(call.tool_call_id, None) is not None:
                undone = UNDONE if call.undone_at else ""
                wire.append(tool_message(call.tool_call_id, call.tool, call.text + undone))
    wire.extend(_unanswered(open_calls))
    return wire


def assistant_message(
    text: str, tool_calls: list[RequestedToolCall], reasoning_details: list[dict[str, Any]]
) -> WireMessage:
    """Return one round's answer; `reasoning_details` go back verbatim and in order."""
    message: WireMessage = {"role": "assistant", "content": text or None}
    if tool_calls:
        message["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {"name": call.tool, "arguments": json.dumps(call.arguments)},
            }
            for call in tool_calls
        ]
    if reasoning_details:
        message["reasoning_details"] = reasoning_details
    return message


def with_images(text: str, images: Sequence[AttachmentShown]) -> str:
    """Return the text of an answer, and what it says of the images that the model made with it."""
    told = [
        "[An image of yours was here; it has been deleted.]"
        if image.deleted
        else f"[You made the {named(image)}]"
        for image in images
    ]
    return "\n".join(filter(None, (text, *told)))


def tool_message(tool_call_id: str, tool: str, text: str) -> WireMessage:
    """Return the result of one tool call."""
    return {"role": "tool", "tool_call_id": tool_call_id, "name": tool, "content": text}


def _user_message(text: str, parts: Sequence[dict[str, Any]]) -> WireMessage:
    if not parts:
        return {"role": "user", "content": text}
    if text.strip():
        parts = [{"type": "text", "text": text}, *parts]
    if all(part["type"] == "text" for part in parts):
        # Models without pictures, and simple endpoints, may know no parts.
        return {"role": "user", "content": "\n\n".join(part["text"] for part in parts)}
    return {"role": "user", "content": list(parts)}


def _unanswered(open_calls: dict[str, str]) -> list[WireMessage]:
    return [tool_message(call_id, tool, NO_RESULT) for call_id, tool in open_calls.items()]
