"""A server of the fleet as far as its audit trail goes: real rows of the kit, over HTTP."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers.kit.gate import audit, schema

TOKEN = "s" * 43


@dataclass
class AuditTrail:
    """The trail, and how it is served."""

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    port: int = 0
    leaves: threading.Event = field(default_factory=threading.Event)
    """Set to let requests go that hang."""
    hangs: bool = False
    shown: int | None = None
    """How many rows are given; the head is the newest all the same."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def document(self, name: str, trust: str = "fleet") -> dict[str, Any]:
        """The entry of `mcp_servers.json`."""
        return {"id": name, "url": self.url, "trust": trust, "token_file": f"tokens/{name}"}

    def answer(self, after: int, limit: int) -> dict[str, Any]:
        newest = self.rows[-1] if self.rows else {"position": 0, "hash": "0" * 64}
        head = {"position": newest["position"], "hash": newest["hash"]}
        items = [row for row in self.rows[: self.shown] if row["position"] > after]
        return {"items": items[:limit], "head": head}

    def cut(self, shown: int) -> None:
        """Lose the rows at the end, but not what is known of the newest."""
        self.shown = shown


def rows(server: str, *times: float, **fields: Any) -> list[dict[str, Any]]:
    """A chain with one row for each time (Unix seconds), written by the kit itself."""
    conn = sqlite3.connect(":memory:")
    schema.prepare(conn)
    for number, at in enumerate(times):
        entry = {
            "owner": "owner",
            "server": server,
            "tool": "send",
            "client": "claude-desktop 1.2",
            "call_id": f"call_{server}_{number}",
            "turn_id": None,
            "arguments_hash": "ab" * 32,
            "labels": ["egress", "write"],
            "level": 2,
            "effect": "send",
            "effects": 1,
            "taint": ["mail from é"],
            "decision": "approved",
            "decided_by": "terminal",
            "outcome": "done",
        }
        audit.append(conn, {**entry, **fields}, at)
    found = audit.rows_after(conn, 0, len(times))
    conn.close()
    return found


@contextmanager
def served(trail: AuditTrail) -> Iterator[AuditTrail]:
    """Serve `trail` on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if trail.hangs:
                trail.leaves.wait(20)
                return
            parts = urlsplit(self.path)
            if self.headers["Authorization"] != f"Bearer {TOKEN}" or parts.path != "/audit":
                self.send_error(401)
                return
            query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
            body = json.dumps(trail.answer(query["after"], query["limit"])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", trail.port), Handler)
    server.daemon_threads = True
    trail.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield trail
    finally:
        trail.leaves.set()
        server.shutdown()
        server.server_close()
        thread.join()
