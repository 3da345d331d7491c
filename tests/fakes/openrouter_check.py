"""Refuses every request that the vendor would refuse, and some that it would let pass."""

import base64
import binascii
import re
from typing import Any

import jsonschema

from tests.fakes.openrouter_fields import FIELDS

TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
REQUEST_FIELDS = frozenset(
    re.findall(
        r"\w+",
        """model models messages tools tool_choice parallel_tool_calls max_tool_calls stream
        stream_options usage temperature top_p top_k min_p top_a frequency_penalty
        presence_penalty repetition_penalty seed max_tokens max_completion_tokens stop logit_bias
        logprobs top_logprobs response_format structured_outputs reasoning reasoning_effort
        verbosity provider plugins route session_id user metadata trace cache_control
        prompt_cache_key modalities debug transforms prediction service_tier image_config""",
    )
)
_MESSAGE_FIELDS = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {
        "role",
        "content",
        "name",
        "tool_calls",
        "refusal",
        "reasoning",
        "reasoning_details",
        "annotations",
        "images",
    },
    "tool": {"role", "content", "tool_call_id", "name"},
}
_PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/webp": b"RIFF",
    "image/gif": b"GIF8",
}
_FIELDS = jsonschema.Draft202012Validator(FIELDS)


class Invalid(Exception):
    """What is wrong, as the vendor would say it."""


def check_request(body: Any) -> None:
    """Raise Invalid when the body is not a correct chat completion request."""
    _demand(isinstance(body, dict), "the body must be an object")
    unknown = set(body) - REQUEST_FIELDS
    _demand(not unknown, f"unknown fields: {sorted(unknown)}")
    _demand(isinstance(body.get("model"), str) and body["model"], "model is required")
    messages = body.get("messages")
    _demand(isinstance(messages, list) and messages, "messages must be a non-empty list")
    _demand(isinstance(body.get("stream", False), bool), "stream must be a boolean")
    _demand("stream_options" not in body or body.get("stream"), "stream_options needs stream")
    _demand(len(str(body.get("session_id", ""))) <= 256, "session_id is too long")
    for problem in _FIELDS.iter_errors(body):
        raise Invalid(f"{problem.json_path.removeprefix('$.')}: {problem.message}")
    if "tools" in body:
        _check_tools(body["tools"])
    for number, message in enumerate(messages):
        _check_message(message, f"messages[{number}]")
    _check_order(messages)


def _check_tools(tools: Any) -> None:
    _demand(isinstance(tools, list) and tools, "tools must be a non-empty list")
    names = []
    for number, tool in enumerate(tools):
        place = f"tools[{number}]"
        _demand(isinstance(tool, dict) and set(tool) <= {"type", "function"}, f"{place} is wrong")
        _demand(tool.get("type") == "function", f"{place}.type must be 'function'")
        function = tool.get("function")
        _demand(isinstance(function, dict), f"{place}.function must be an object")
        unknown = set(function) - {"name", "description", "parameters", "strict"}
        _demand(not unknown, f"{place}.function has unknown fields {sorted(unknown)}")
        name = function.get("name")
        _demand(isinstance(name, str) and TOOL_NAME.match(name), f"{place}: bad name {name!r}")
        names.append(name)
        _check_schema(function.get("parameters", {"type": "object"}), place)
    _demand(len(set(names)) == len(names), "tool names must be unique")


def _check_schema(schema: Any, place: str) -> None:
    _demand(isinstance(schema, dict), f"{place}.parameters must be an object")
    _demand(schema.get("type") == "object", f"{place}.parameters.type must be 'object'")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise Invalid(f"{place}.parameters: {error.message}") from error


def _check_message(message: Any, place: str) -> None:
    _demand(isinstance(message, dict), f"{place} must be an object")
    role = message.get("role")
    _demand(role in _MESSAGE_FIELDS, f"{place}.role {role!r} is not known")
    unknown = set(message) - _MESSAGE_FIELDS[role]
    _demand(not unknown, f"{place} has unknown fields {sorted(unknown)}")
    content = message.get("content")
    if role == "assistant":
        has_calls = bool(message.get("tool_calls"))
        _demand(content is None or isinstance(content, str), f"{place}.content must be text")
        _demand(content is not None or has_calls, f"{place} has neither content nor tool_calls")
        _check_calls(message, place)
    elif role == "user" and isinstance(content, list):
        _check_parts(content, place)
    else:
        _demand(isinstance(content, str), f"{place}.content must be text")
    if role == "tool":
        _demand(isinstance(message.get("tool_call_id"), str), f"{place} needs a tool_call_id")


def _check_parts(parts: list[Any], place: str) -> None:
    _demand(bool(parts), f"{place}.content is empty")
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        known = kind in ("text", "image_url", "file", "input_audio")
        _demand(known and kind in part, f"{place}.content has a bad part {part!r:.80}")
        _demand(set(part) == {"type", kind}, f"{place}.content: unknown fields {sorted(part)}")
        if kind == "text":
            text = part["text"]
            _demand(isinstance(text, str) and text, f"{place}.content has an empty text part")
        elif kind == "image_url":
            _check_picture(part["image_url"], place)


def _check_picture(picture: Any, place: str) -> None:
    right = isinstance(picture, dict) and {"url"} <= set(picture) <= {"url", "detail"}
    _demand(right and isinstance(picture["url"], str), f"{place}: image_url needs a url")
    url = picture["url"]
    if url.startswith("https://"):
        return
    head, _, data = url.partition(",")
    mime = head.removeprefix("data:").removesuffix(";base64")
    _demand(head == f"data:{mime};base64", f"{place}: neither a data URL nor https: {url:.60}")
    _demand(mime in _PICTURES, f"{place}: pictures cannot be {mime!r}")
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise Invalid(f"{place}: the data of the picture is not base64") from error
    _demand(content.startswith(_PICTURES[mime]), f"{place}: the picture is no {mime}")


def _check_calls(message: dict[str, Any], place: str) -> None:
    if "tool_calls" not in message:
        return
    calls = message["tool_calls"]
    _demand(isinstance(calls, list) and calls, f"{place}.tool_calls must be a non-empty list")
    for call in calls:
        right = isinstance(call, dict) and set(call) == {"id", "type", "function"}
        _demand(right and call["type"] == "function", f"{place} has a malformed tool call")
        function = call["function"]
        right = isinstance(function, dict) and set(function) == {"name", "arguments"}
        _demand(right, f"{place} has a malformed function")
        name, arguments = function["name"], function["arguments"]
        _demand(isinstance(name, str) and TOOL_NAME.match(name), f"{place}: bad name {name!r}")
        _demand(isinstance(arguments, str), f"{place}: arguments must be JSON text")
    ids = [call["id"] for call in calls]
    _demand(all(isinstance(i, str) and i for i in ids), f"{place}: tool call ids must be text")
    _demand(len(set(ids)) == len(ids), f"{place}: tool call ids must be unique")


def _check_order(messages: list[dict[str, Any]]) -> None:
    """Every tool call is answered before anyone else speaks, and nothing else is answered."""
    open_ids: list[str] = []
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            call_id = message["tool_call_id"]
            _demand(call_id in open_ids, f"messages[{number}] answers no open tool call")
            open_ids.remove(call_id)
            continue
        _demand(not open_ids, f"tool calls without an answer: {open_ids}")
        open_ids = [call["id"] for call in message.get("tool_calls", ())]
    _demand(not open_ids, f"tool calls without an answer: {open_ids}")


def _demand(is_right: Any, complaint: str) -> None:
    if not is_right:
        raise Invalid(complaint)
