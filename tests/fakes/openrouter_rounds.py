"""What a scripted answer is made of, and its bytes on the wire."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.openrouter_signal import Gate

USAGE: dict[str, Any] = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "total_tokens": 29,
    "cost": 0.00012,
    "is_byok": False,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
_VENDOR_ERRORS = {
    400: ("invalid_request", "Bad request"),
    401: ("authentication", "No auth credentials found"),
    402: ("payment_required", "Insufficient credits"),
    403: ("permission_denied", "This key may not use this model"),
    404: ("not_found", "No endpoints found"),
    408: ("timeout", "Request timed out"),
    413: ("payload_too_large", "Request is too large"),
    422: ("unprocessable", "Cannot process"),
    429: ("rate_limit_exceeded", "Rate limited"),
    502: ("provider_unavailable", "Provider is down"),
    503: ("provider_overloaded", "Provider is overloaded"),
    529: ("provider_overloaded", "Provider is overloaded"),
}


@dataclass(frozen=True)
class Call:
    """A tool call. `arguments` given as text are sent as they are, valid JSON or not."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    id: str | None = None
    """None: the fake numbers the calls of its whole life, as a real vendor never repeats one."""


@dataclass(frozen=True)
class Failure:
    """An error in the middle of a stream."""

    code: int | str = 502
    message: str = "Provider disconnected"
    error_type: str = "provider_unavailable"


@dataclass(frozen=True)
class Drop:
    """The connection is cut here."""


@dataclass(frozen=True)
class Round:
    """One answer. `steps` are sent first and in order: text, a Gate to stop at, bytes as they
    are, a delta as a dict, a Failure or a Drop. Then the calls, then usage and `[DONE]`.
    """

    steps: tuple[str | bytes | dict[str, Any] | Gate | Failure | Drop, ...] = ()
    reasoning: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    finish_reason: str | None = None
    """None: `tool_calls` when there are calls, else `stop`."""
    usage: dict[str, Any] | None = field(default_factory=lambda: dict(USAGE))
    status: int = 200
    """Anything else answers with an error body instead of a stream."""
    failure: Failure | None = None
    """What the error body says; None: what the vendor says with that status."""
    headers: dict[str, str] = field(default_factory=dict)
    has_done: bool = True


def text(*pieces: str, **fields: Any) -> Round:
    """Return a round that answers with these pieces of text."""
    return Round(steps=pieces, **fields)


def calls(*wanted: Call, **fields: Any) -> Round:
    """Return a round that asks for these tool calls."""
    return Round(calls=wanted, **fields)


Step = bytes | Gate | Drop


class Wire:
    """Turns rounds into bytes; numbers the generations and the calls."""

    def __init__(self) -> None:
        self._generations = itertools.count(1)
        self._calls = itertools.count(1)

    def stream(self, script: Round, model: str) -> Iterator[Step]:
        """Yield the bytes of a streamed answer, with the places where something else happens."""
        envelope = self._envelope(model, "chat.completion.chunk")
        yield b": OPENROUTER PROCESSING\n\n"
        yield _chunk(envelope, {"role": "assistant", "content": ""})
        for delta in _reasoning(script.reasoning):
            yield _chunk(envelope, delta)
        for step in script.steps:
            if isinstance(step, Failure):
                yield _failure(envelope, step)
                return
            if isinstance(step, str):
                yield _chunk(envelope, {"content": step})
            elif isinstance(step, dict):
                yield _chunk(envelope, step)
            else:
                yield step
        for delta in self._fragments(script.calls):
            yield _chunk(envelope, delta)
        yield _chunk(envelope, {"content": ""}, _finish_reason(script))
        if script.usage is not None:
            yield event({**envelope, "choices": [], "usage": script.usage})
        if script.has_done:
            yield b"data: [DONE]\n\n"

    def whole(self, script: Round, model: str) -> dict[str, Any]:
        """Return the answer as one JSON body."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(step for step in script.steps if isinstance(step, str)),
        }
        if script.calls:
            message["tool_calls"] = [
                {
                    "id": call.id or f"call_{next(self._calls)}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": _arguments(call)},
                }
                for call in script.calls
            ]
        return {
            **self._envelope(model, "chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": _finish_reason(script)}],
            "usage": script.usage,
        }

    def _envelope(self, model: str, kind: str) -> dict[str, Any]:
        number = next(self._generations)
        return {
            "id": f"gen-{number}",
            "object": kind,
            "created": 1_790_000_000 + number,
            "model": model,
            "provider": "Fake",
        }

    def _fragments(self, wanted: tuple[Call, ...]) -> Iterator[dict[str, Any]]:
        """Yield the calls in pieces, the pieces of parallel calls in turn."""
        for index, call in enumerate(wanted):
            first = {"index": index, "id": call.id or f"call_{next(self._calls)}"}
            head = {"name": call.name, "arguments": ""}
            yield {"tool_calls": [{**first, "type": "function", "function": head}]}
        pieces = [_thirds(_arguments(call)) for call in wanted]
        for row in itertools.zip_longest(*pieces):
            for index, piece in enumerate(row):
                if piece:
                    yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def event(value: dict[str, Any]) -> bytes:
    """Return a value as one server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def error_body(status: int, failure: Failure | None = None) -> dict[str, Any]:
    """Return the body that goes with an error status."""
    if failure is None:
        kind, message = _VENDOR_ERRORS.get(status, ("server", "Internal error"))
        failure = Failure(status, message, kind)
    metadata = {"error_type": failure.error_type}
    return {"error": {"code": status, "message": failure.message, "metadata": metadata}}


def _chunk(envelope: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": finish}
    return event({**envelope, "choices": [{**choice, "logprobs": None}]})


def _failure(envelope: dict[str, Any], failure: Failure) -> bytes:
    metadata = {"error_type": failure.error_type}
    error = {"code": failure.code, "message": failure.message, "metadata": metadata}
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    return event({**envelope, "error": error, "choices": [choice]})


def _reasoning(pieces: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    common = {"type": "reasoning.text", "id": "r1", "format": "anthropic-claude-v1", "index": 0}
    for piece in pieces:
        detail = {**common, "text": piece, "signature": None}
        yield {"reasoning": piece, "reasoning_details": [detail]}
    if pieces:
        yield {"reasoning_details": [{**common, "text": "", "signature": "c2lnbmVk"}]}


def _finish_reason(script: Round) -> str:
    return script.finish_reason or ("tool_calls" if script.calls else "stop")


def _arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def _thirds(arguments: str) -> list[str]:
    size = max(1, -(-len(arguments) // 3))
    return [arguments[start : start + size] for start in range(0, len(arguments), size)]
