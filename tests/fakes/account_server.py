"""A server of the fleet as far as its accounts go: the routes of the kit, scripted, over HTTP."""

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlencode

TOKEN = "s" * 43
CODE = "4/0Acanary-code"
SCOPE = "https://mail.example.org/auth/"


def account(name: str, *capabilities: str, **fields: Any) -> dict[str, Any]:
    """An account as a server tells of it."""
    return {
        "account": name,
        "state": "ok",
        "is_default": True,
        "capabilities": list(capabilities),
        "scopes": [SCOPE + capability for capability in capabilities],
        "signed_in_at": "2026-11-20T10:30:00Z",
        "last_refresh_at": None,
        "works_until": None,
        "problem": None,
    } | fields


@dataclass
class AccountServer:
    """What it tells, and what it was asked."""

    name: str
    port: int = 0
    setup: str | None = None
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    provider_url: str = "https://provider.example.org/consent"
    chosen: str = "anna@example.org"
    """Who sits at the browser."""
    refuses: set[str] = field(default_factory=set[str])
    """Capabilities that the person does not permit."""
    works_until: str | None = None
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The sign-ins by state."""
    requests: list[tuple[str, str, Any]] = field(default_factory=list[tuple[str, str, Any]])
    answers: list[tuple[int, bytes] | None] = field(default_factory=list[tuple[int, bytes] | None])
    """What the next requests get instead; None for no answer at all."""
    leaves: threading.Event = field(default_factory=threading.Event)

    def document(self, **fields: Any) -> dict[str, Any]:
        """The entry of `mcp_servers.json`."""
        url = f"http://127.0.0.1:{self.port}/mcp"
        entry = {"id": self.name, "title": self.name.title(), "url": url, "trust": "fleet"}
        return entry | {"token_file": f"tokens/{self.name}"} | fields

    def asked(self, path: str) -> list[Any]:
        """The bodies of the requests to a path."""
        return [body for _, to, body in self.requests if to == path]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        match method, path.strip("/").split("/"):
            case "GET", ["accounts"]:
                return 200, self._told()
            case "POST", ["accounts", "sign-ins"]:
                return self._begin(body)
            case "POST", ["accounts", "sign-ins", "complete"]:
                return self._complete(body)
            case "PATCH", ["accounts", name]:
                return self._one(unquote(name))
            case "DELETE", ["accounts", name]:
                status, found = self._one(unquote(name))
                self.accounts.pop(unquote(name), None)
                done = {"revoked": True, "message": "Google was told."}
                return status, done if status == 200 else found
            case "POST", ["previews", "send"]:
                lines = [{"name": "To", "value": body["arguments"]["to"]}]
                return 200, {"lines": lines, "text": "Dear Bo"}
        return 404, {"error": "There is nothing here: the MCP endpoint is /mcp."}

    def _told(self) -> dict[str, Any]:
        capabilities = [
            {"name": name, "title": f"{name} your mail", "scopes": [SCOPE + name]}
            for name in ("read", "write")
        ]
        return {
            "provider": "google",
            "provider_title": "Google",
            "setup": self.setup,
            "capabilities": capabilities,
            "accounts": list(self.accounts.values()),
        }

    def _one(self, name: str) -> tuple[int, Any]:
        if name not in self.accounts:
            return 404, _error("not_found", f"There is no account {name}.")
        return 200, self.accounts[name]

    def _begin(self, body: Any) -> tuple[int, Any]:
        state = secrets.token_urlsafe(32)
        self.waiting[state] = body
        query = urlencode({"state": state, "redirect_uri": body["redirect_uri"]})
        url = f"{self.provider_url}?{query}"
        return 201, {"url": url, "state": state, "expires_at": "2026-11-20T10:40:00Z"}

    def _complete(self, body: Any) -> tuple[int, Any]:
        begun = self.waiting.pop(body["state"], None)
        if begun is None:
            return 404, _error("sign_in_unknown", "This sign-in is complete already.")
        if "error" in body:
            return 400, _error("sign_in_denied", "It was not permitted at Google.")
        if body["code"] != CODE:
            return 400, _error("sign_in_refused", "Google did not accept the code.")
        granted = [name for name in begun["capabilities"] if name not in self.refuses]
        found = account(self.chosen, *granted, works_until=self.works_until)
        self.accounts[self.chosen] = found
        return 200, found


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@contextmanager
def running_accounts(server: AccountServer) -> Iterator[AccountServer]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            if self.headers["Authorization"] != f"Bearer {TOKEN}" or self.path == "/mcp":
                self.send_error(401 if self.path != "/mcp" else 404)
                return
            server.requests.append((self.command, self.path, body))
            if server.answers:
                instead = server.answers.pop(0)
                if instead is None:
                    server.leaves.wait(30)
                    return
                self._send(*instead)
                return
            status, content = server.answer(self.command, self.path, body)
            self._send(status, json.dumps(content).encode())

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", server.port), Handler)
    http.daemon_threads = True
    server.port = http.server_port
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.leaves.set()
        http.shutdown()
        http.server_close()
        thread.join()
