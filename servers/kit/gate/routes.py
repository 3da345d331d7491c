"""What programs may read of the ledger over HTTP, behind the server's token."""

import sqlite3
from dataclasses import asdict
from typing import Any, Final

from fastmcp import FastMCP
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.kit.gate import audit, journal
from servers.kit.gate.gate import Gate
from servers.kit.gate.ledger import LedgerUnavailable

AUDIT_PATH: Final = "/audit"
CALLS_PATH: Final = "/calls"
MAX_ROWS = 1_000
_NO_AUDIT: dict[str, Any] = {"items": [], "head": asdict(audit.NOTHING)}


def is_gate_path(path: str) -> bool:
    """Whether one of the routes below is asked for."""
    return path == AUDIT_PATH or path.startswith(f"{CALLS_PATH}/")


def add_routes(mcp: FastMCP[Any], gate: Gate) -> None:
    """`GET /audit?after=POSITION&limit=N` and `GET /calls/CALL_ID`.

    A server without tools that change anything has an empty trail, and no ledger.
    """

    @mcp.custom_route(AUDIT_PATH, methods=["GET"])
    async def read_audit(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        after = _number(request, "after", 0, 2**62)
        limit = _number(request, "limit", 100, MAX_ROWS)
        if after is None or limit is None:
            text = f"after and limit are whole numbers from 0, limit at most {MAX_ROWS:,}."
            return JSONResponse({"error": text}, 400)
        try:
            found = await gate.read(_audit_page, after, limit) if gate.is_needed else _NO_AUDIT
            return JSONResponse(found)
        except LedgerUnavailable as error:
            return JSONResponse({"error": str(error)}, 503)

    @mcp.custom_route(f"{CALLS_PATH}/{{call_id}}", methods=["GET"])
    async def read_call(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        try:
            call_id = request.path_params["call_id"]
            if not gate.is_needed:
                return JSONResponse({"call_id": call_id, "state": "absent", "result": None})
            return JSONResponse(await gate.read(journal.record, call_id))
        except LedgerUnavailable as error:
            return JSONResponse({"error": str(error)}, 503)


def _audit_page(conn: sqlite3.Connection, after: int, limit: int) -> dict[str, Any]:
    return {
        "items": audit.rows_after(conn, after, limit),
        "head": asdict(audit.head(conn)),
    }


def _number(request: Request, name: str, default: int, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= most):
        return None
    return int(text)
