"""Reads a chat completion request as far as the practice model needs it."""

from dataclasses import dataclass
from typing import Any

from orchestrator.practice.json_objects import as_list, as_object, is_list, is_object, parse_object

MODEL = "flotilla/practice"


class BadRequest(Exception):
    """What is wrong, with the status and error type that OpenRouter would give."""

    def __init__(self, message: str, status: int = 400, kind: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The fields that count; sampling parameters mean nothing to a script."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    stream: bool


def read_request(raw: bytes) -> ChatRequest:
    """Return the request in a body; raises BadRequest."""
    body = parse_object(raw.decode("utf-8", errors="replace"))
    if body is None:
        raise BadRequest("The body must be a JSON object.")
    if body.get("model") != MODEL:
        raise BadRequest(
            f"This is the practice server: its only model is {MODEL}. "
            "Set OPENROUTER_API_KEY to use others.",
            status=404,
            kind="not_found",
        )
    messages, tools = _objects(body, "messages"), _objects(body, "tools")
    if not messages:
        raise BadRequest("messages must not be empty.")
    for number, message in enumerate(messages):
        if not isinstance(message.get("role"), str):
            raise BadRequest(f"messages[{number}].role must be text.")
        if not all(_is_call(call) for call in as_list(message.get("tool_calls"))):
            raise BadRequest(f"messages[{number}].tool_calls is malformed.")
    return ChatRequest(messages, tools, stream=body.get("stream") is True)


def _objects(body: dict[str, Any], field: str) -> list[dict[str, Any]]:
    values: Any = body.get(field, [])
    if not is_list(values) or not all(is_object(value) for value in values):
        raise BadRequest(f"{field} must be a list of objects.")
    return values


def _is_call(call: Any) -> bool:
    fields = as_object(call)
    name = as_object(fields.get("function")).get("name")
    return isinstance(fields.get("id"), str) and isinstance(name, str)
