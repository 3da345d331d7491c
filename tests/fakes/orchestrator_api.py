"""A strict orchestrator: the part of its HTTP API that servers use, and nothing more."""

import asyncio
import base64
import json
import re
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

from tests.fakes.orchestrator_files import FileShelf

TOKEN = "t" * 43
TICKET_FIELDS = {
    "ticket_id", "tool", "title", "arguments", "hash", "level", "effect", "reason", "account",
    "undoable", "client", "expires_at",
}  # fmt: skip


@dataclass
class FakeOrchestrator:
    """Sessions as the API shows them, and what was asked."""

    sessions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    messages: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )
    attachments: list[dict[str, Any]] | None = None
    approvals: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What was asked for, by approval id."""
    files: FileShelf = field(default_factory=FileShelf)
    """What servers uploaded."""
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

    def decide(self, approval_id: str, state: str, reason: str | None = None) -> None:
        """Do what the owner does in the web chat."""
        decision = {"state": state, "decided_by": "web", "decision_reason": reason}
        self.approvals[approval_id] |= decision

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/sessions", self._list_sessions),
                Route("/api/sessions/{session_id}/messages", self._list_messages),
                Route("/api/attachments", self._list_attachments),
                Route("/api/attachments/{attachment_id}", self._read_attachment),
                Route("/api/attachments/{attachment_id}/content", self._read_content),
                Route("/api/uploads", self._upload, methods=["POST"]),
                Route("/api/approvals", self._ask_approval, methods=["POST"]),
                Route("/api/approvals/{approval_id}", self._read_approval),
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

    async def _upload(self, request: Request) -> Response:
        if refusal := self._refusal(request, set()):
            return refusal
        return await self.files.upload(request, self.url)

    async def _read_attachment(self, request: Request) -> Response:
        if refusal := self._refusal(request, set()):
            return refusal
        return self.files.read(request.path_params["attachment_id"], self.url)

    async def _read_content(self, request: Request) -> Response:
        if refusal := self._refusal(request, set()):
            return refusal
        return self.files.read_content(request.path_params["attachment_id"], request.headers)

    async def _ask_approval(self, request: Request) -> Response:
        if refusal := self._refusal(request, set()):
            return refusal
        asked = await request.json()
        if not _is_ticket(asked):
            return _problem(422, "invalid_request")
        for approval in self.approvals.values():
            if approval["tool_call_id"] == asked["ticket_id"]:
                return JSONResponse(approval, 200)
        approval_id = f"apr_{len(self.approvals):03d}"
        self.approvals[approval_id] = {
            "id": approval_id, "origin": "client", "state": "pending", "server": "effects",
            "tool_call_id": asked["ticket_id"], "tool": f"effects__{asked['tool']}",
            "decided_by": None, "decision_reason": None, "taint": [], "outcome": None,
            "url": f"{self.url}/#/approvals/{approval_id}",
            **{name: asked[name] for name in TICKET_FIELDS - {"ticket_id", "tool", "hash"}},
        }  # fmt: skip
        return JSONResponse(self.approvals[approval_id], 201)

    async def _read_approval(self, request: Request) -> Response:
        if refusal := self._refusal(request, set()):
            return refusal
        approval = self.approvals.get(request.path_params["approval_id"])
        return _problem(404, "not_found") if approval is None else JSONResponse(approval)


def _is_ticket(asked: dict[str, Any]) -> bool:
    return (
        set(asked) == TICKET_FIELDS
        and re.fullmatch("[0-9a-f]{64}", asked["hash"]) is not None
        and asked["level"] in (0, 1, 2, 3)
        and asked["effect"] in (None, "change", "send", "delete", "share")
        and isinstance(asked["arguments"], dict)
        and isinstance(asked["undoable"], bool)
        and datetime.fromisoformat(asked["expires_at"]).tzinfo is not None
        and all(isinstance(asked[name], str) for name in ("tool", "title", "reason", "client"))
    )


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
