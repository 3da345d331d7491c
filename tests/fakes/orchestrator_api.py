"""A strict orchestrator: the part of its HTTP API that housekeeping reads, and nothing more."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "t" * 43


@dataclass
class FakeOrchestrator:
    """Sessions as the API shows them, and what was asked."""

    sessions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    messages: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )
    attachments: list[dict[str, Any]] | None = None
    answer: Response | None = None
    """Given instead of any other answer."""
    asked: list[tuple[str, dict[str, str]]] = field(
        default_factory=list[tuple[str, dict[str, str]]]
    )
    url: str = ""

    def add_session(
        self, session_id: str, title: str, *, updated_at: str, snippet: str = ""
    ) -> None:
        self.sessions.append(
            {
                "id": session_id, "title": title, "pinned": False, "created_at": updated_at,
                "updated_at": updated_at, "leaf_message_id": None, "running_turn_id": None,
                "snippet": snippet or None,
            }
        )  # fmt: skip
        self.messages[session_id] = []

    def add_message(self, session_id: str, role: str, content: str, **fields: Any) -> str:
        messages = self.messages[session_id]
        message_id = f"msg_{len(messages):03d}"
        messages.append(
            {
                "id": message_id, "session_id": session_id, "parent_id": None, "turn_id": None,
                "role": role, "content": content, "created_at": "2026-11-20T10:30:00.000Z",
                "complete": True, "reasoning": "", "reasoning_ms": None, "tool_calls": [],
                "tool_call": None, "sources": [], **fields,
            }
        )  # fmt: skip
        return message_id

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/sessions", self._list_sessions),
                Route("/api/sessions/{session_id}/messages", self._list_messages),
                Route("/api/attachments", self._list_attachments),
            ]
        )

    def _refusal(self, request: Request, known: set[str]) -> Response | None:
        self.asked.append((request.url.path, dict(request.query_params)))
        if self.answer is not None:
            return self.answer
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _problem(401, "not_signed_in")
        unknown = set(request.query_params) - known
        limit = request.query_params.get("limit", "50")
        if unknown or not (limit.isdecimal() and 1 <= int(limit) <= 200):
            return _problem(422, "invalid_request")
        for name in ("after", "before"):
            text = request.query_params.get(name)
            if text is not None and datetime.fromisoformat(text).tzinfo is None:
                return _problem(422, "invalid_request")
        return None

    async def _list_sessions(self, request: Request) -> Response:
        if refusal := self._refusal(request, {"q", "limit", "cursor", "after", "before"}):
            return refusal
        words = request.query_params.get("q", "").lower().split()
        found = [
            session
            for session in self.sessions
            if all(word in f"{session['title']} {session['snippet']}".lower() for word in words)
        ]
        return _page(request, found)

    async def _list_messages(self, request: Request) -> Response:
        if refusal := self._refusal(request, {"limit", "cursor"}):
            return refusal
        messages = self.messages.get(request.path_params["session_id"])
        if messages is None:
            return _problem(404, "not_found")
        end = _offset(request, len(messages))
        start = max(0, end - int(request.query_params.get("limit", "50")))
        body = {"items": messages[start:end], "turns": [], "next_cursor": _cursor(start)}
        return JSONResponse(body)

    async def _list_attachments(self, request: Request) -> Response:
        if refusal := self._refusal(request, {"session_id", "mime", "q", "cursor"}):
            return refusal
        if self.attachments is None:
            return _problem(404, "not_found")
        return _page(request, self.attachments)


@asynccontextmanager
async def running_orchestrator() -> AsyncGenerator[FakeOrchestrator]:
    """A fake that listens on a port of its own."""
    fake = FakeOrchestrator()
    listener = socket.create_server(("127.0.0.1", 0))
    fake.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(fake.app(), log_level="warning", lifespan="off"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listener]))
        try:
            yield fake
        finally:
            server.should_exit = True


def _page(request: Request, items: list[dict[str, Any]]) -> Response:
    start = _offset(request, 0)
    end = start + int(request.query_params.get("limit", "50"))
    following = _cursor(end) if end < len(items) else None
    return JSONResponse({"items": items[start:end], "next_cursor": following})


def _cursor(offset: int) -> str | None:
    return base64.urlsafe_b64encode(json.dumps(offset).encode()).decode() if offset else None


def _offset(request: Request, default: int) -> int:
    cursor = request.query_params.get("cursor")
    return default if cursor is None else int(json.loads(base64.urlsafe_b64decode(cursor)))


def _problem(status: int, code: str) -> Response:
    body = {"type": "about:blank", "title": code, "status": status, "code": code}
    return JSONResponse(body, status, media_type="application/problem+json")
