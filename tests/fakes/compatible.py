"""Endpoints that speak OpenAI's format and nothing else: strict where OpenAI is strict.

Each kind answers `GET /models` as its maker does, and refuses what its maker refuses (their pages
of November 2026): unknown fields everywhere and `tool_choice` without tools. None of them
reports a cost.

    with running_compatible("together") as together:
        ...                      # talk to together.base_url with together.model
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.openrouter import FakeOpenRouter, _ChatEndpoint, _server
from tests.fakes.openrouter_rounds import Round, text

KEY = "sk-compatible"
_FIELDS = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream"),
        *("stream_options", "temperature", "top_p", "frequency_penalty", "presence_penalty"),
        *("seed", "max_tokens", "max_completion_tokens", "stop", "logit_bias", "n", "user"),
        *("logprobs", "top_logprobs", "response_format", "reasoning_effort", "verbosity"),
    }
)
_MESSAGE_FIELDS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})
MODELS = {
    "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "ollama": "qwen3:8b",
    "vllm": "NousResearch/Meta-Llama-3-8B-Instruct",
    "anthropic": "claude-sonnet-4-5",
}
LISTINGS: dict[str, Any] = {
    "together": [
        {
            "id": MODELS["together"],
            "object": "model",
            "created": 0,
            "type": "chat",
            "display_name": "Meta Llama 3.3 70B Instruct Turbo",
            "context_length": 131_072,
            "pricing": {"hourly": 0, "input": 0.88, "output": 0.88, "base": 0, "finetune": 0},
        }
    ],
    "ollama": {
        "object": "list",
        "data": [
            {"id": MODELS["ollama"], "object": "model", "created": 1_790_000_000, "owned_by": "me"}
        ],
    },
    "vllm": {
        "object": "list",
        "data": [
            {"id": MODELS["vllm"], "object": "model", "owned_by": "vllm", "max_model_len": 8192}
        ],
    },
    "anthropic": {
        "data": [
            {
                "type": "model",
                "id": MODELS["anthropic"],
                "display_name": "Claude Sonnet 4.5",
                "created_at": "2025-09-29T00:00:00Z",
            }
        ],
        "has_more": False,
    },
}


class FakeCompatible(FakeOpenRouter):
    """The ASGI app of one kind; scripted and watched like the fake of OpenRouter."""

    def __init__(self, kind: str, api_key: str | None = KEY) -> None:
        super().__init__(api_key)
        self.model = MODELS[kind]
        self.listing = LISTINGS[kind]
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", _ChatEndpoint(self), methods=["POST"]),
                Route("/v1/models", self._list_models),
            ]
        )

    def script(self, *rounds: Round, model: str | None = None) -> None:
        super().script(*(_unpriced(wanted) for wanted in rounds), model=model or self.model)

    def refused(self, body: Any, request: Request) -> Response | None:
        if not self.is_allowed(request):
            return _error(401, "Incorrect API key provided", "invalid_api_key")
        unknown = set(body) - _FIELDS
        for message in body["messages"]:
            unknown |= set(message) - _MESSAGE_FIELDS
        if unknown:
            return _error(400, f"Unrecognized request arguments: {sorted(unknown)}")
        if not body.get("tools") and {"tool_choice", "parallel_tool_calls"} & set(body):
            return _error(400, "tool_choice is only allowed when tools are specified")
        if any("openrouter" in name or name == "http-referer" for name in request.headers):
            return _error(400, "Who is OpenRouter?")
        return super().refused(body, request)

    async def _list_models(self, request: Request) -> Response:
        if not self.is_allowed(request):
            return _error(401, "Incorrect API key provided", "invalid_api_key")
        return await self._models(request)


@contextmanager
def running_compatible(kind: str, api_key: str | None = KEY) -> Iterator[FakeCompatible]:
    """Run one in a thread of its own, on an ephemeral port of 127.0.0.1; it answers "Hello."."""
    fake = FakeCompatible(kind, api_key)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        fake.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        server = _server(fake)
        thread = threading.Thread(target=server.run, args=([listener],), name=f"fake-{kind}")
        thread.start()
        try:
            yield fake
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def hello(*pieces: str) -> Round:
    """Return an answer of 1,234,567 and 7 tokens."""
    return text(
        *(pieces or ("Hello.",)), usage={"prompt_tokens": 1_234_567, "completion_tokens": 7}
    )


def _unpriced(wanted: Round) -> Round:
    usage = {name: value for name, value in (wanted.usage or {}).items() if name != "cost"}
    return replace(wanted, usage=usage if wanted.usage is not None else None)


def _error(status: int, message: str, code: str | None = None) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"error": error}, status)
