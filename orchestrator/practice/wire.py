"""An answer in OpenRouter's wire format, whole or as a stream of events."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from orchestrator.practice.model import Answer
from orchestrator.practice.requests import MODEL

_WORD = re.compile(r"\s*\S+\s?|\s+")
_CHARS_PER_TOKEN = 4
"""A rule of thumb; there is no tokenizer here."""


class Generation:
    """One answer to one request, with the ids it goes by."""

    def __init__(self, answer: Answer, prompt_chars: int) -> None:
        self.id = f"gen-practice-{secrets.token_hex(8)}"
        self.answer = answer
        self._created = int(time.time())
        self._calls: list[dict[str, Any]] = [
            {
                "id": f"call_{secrets.token_hex(8)}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in answer.calls
        ]
        reasoning = len(answer.reasoning) // _CHARS_PER_TOKEN
        completion = reasoning + len(answer.text + json.dumps(self._calls)) // _CHARS_PER_TOKEN
        prompt = prompt_chars // _CHARS_PER_TOKEN
        self.usage: dict[str, Any] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "cost": 0,
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }

    def whole(self) -> dict[str, Any]:
        """Return the answer as one body."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.answer.text,
            "reasoning": self.answer.reasoning,
            "reasoning_details": [_reasoning_detail(self.answer.reasoning)],
        }
        if self._calls:
            message["tool_calls"] = self._calls
        choice = {"index": 0, "message": message, **self._finish(), "logprobs": None}
        return {**self._envelope("chat.completion"), "choices": [choice], "usage": self.usage}

    def record(self) -> dict[str, Any]:
        """Return what `GET /generation` says about it."""
        return {
            "id": self.id,
            "model": MODEL,
            "provider_name": "Flotilla",
            "total_cost": 0,
            "tokens_prompt": self.usage["prompt_tokens"],
            "tokens_completion": self.usage["completion_tokens"],
            **self._finish(),
            "cancelled": False,
        }

    async def events(self, pace_s: float) -> AsyncGenerator[bytes]:
        """Yield the stream, a word or a piece of a tool call at a time."""
        yield b": OPENROUTER PROCESSING\n\n"
        yield self._chunk({"role": "assistant", "content": ""})
        for delta in self._deltas():
            yield self._chunk(delta)
            await asyncio.sleep(pace_s)
        yield self._chunk({"content": ""}, **self._finish())
        yield _event(
            {**self._envelope("chat.completion.chunk"), "choices": [], "usage": self.usage}
        )
        yield b"data: [DONE]\n\n"

    def _deltas(self) -> Iterator[dict[str, Any]]:
        for piece in _WORD.findall(self.answer.reasoning):
            yield {"reasoning": piece, "reasoning_details": [_reasoning_detail(piece)]}
        for piece in _WORD.findall(self.answer.text):
            yield {"content": piece}
        for index, call in enumerate(self._calls):
            function = call["function"]
            head = {**call, "index": index, "function": {**function, "arguments": ""}}
            yield {"tool_calls": [head]}
            for piece in re.findall(r".{1,12}", function["arguments"]):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

    def _finish(self) -> dict[str, str]:
        reason = "tool_calls" if self._calls else "stop"
        return {"finish_reason": reason, "native_finish_reason": reason}

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self._created,
            "model": MODEL,
            "provider": "Flotilla",
        }

    def _chunk(self, delta: dict[str, Any], **finish: str) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None, **finish}
        return _event({**self._envelope("chat.completion.chunk"), "choices": [choice]})


def error_body(status: int, message: str, kind: str) -> dict[str, Any]:
    """Return the body that goes with an error status."""
    return {"error": {"code": status, "message": message, "metadata": {"error_type": kind}}}


def model_entry() -> dict[str, Any]:
    """Return the one entry of `GET /models`."""
    return {
        "id": MODEL,
        "canonical_slug": MODEL,
        "name": "Flotilla: Practice",
        "created": 1_795_132_800,
        "description": "A scripted model on this machine. It uses tools and costs nothing.",
        "context_length": 1_000_000,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0", "completion": "0", "request": "0", "image": "0"},
        "top_provider": {"context_length": 1_000_000, "is_moderated": False},
        "supported_parameters": ["tools", "reasoning"],
    }


def _reasoning_detail(text: str) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
