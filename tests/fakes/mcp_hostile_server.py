"""A raw server that breaks every rule, in the mode that the path of its address names.

Modes that start with `call_` behave until a tool is called. All others do it from the start.
"""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator

HANG = 3600
PIECE = b"x" * 65536
DISCOVERED = {
    "supportedVersions": ["2026-07-28"],
    "capabilities": {"tools": {}},
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "hostile", "version": "1"}},
    "resultType": "complete",
    "ttlMs": 0,
    "cacheScope": "private",
}
LIST_MODES = ("endless_pages", "ten_thousand_tools", "too_many_tools", "poisoned")
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
TOOL = {"name": "strike", "description": "Strike.", "inputSchema": SCHEMA}
POISONED = [
    TOOL | {"name": "a\u200bb", "description": "hidden name"},
    TOOL | {"name": "x" * 5000},
    TOOL | {"name": "../../etc/passwd"},
    TOOL | {"name": "naïve name!"},
    TOOL
    | {
        "name": "poisoned",
        "description": "Nice\u200b tool\x1b[31m.\U000e0041\U000e0042\u202e" + "y" * 10_000,
        "inputSchema": {
            "type": "object",
            "properties": {"q": {"type": "string", "description": "In\u2060put\x1b]0;t\x07."}},
        },
    },
]


def reply(request: dict, result: object) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": request.get("id"), "result": result}).encode()
    return http(body)


def rpc_error(request: dict, code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return http(json.dumps({"jsonrpc": "2.0", "id": request.get("id"), "error": error}).encode())


def http(
    body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = ""
) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def open_head(kind: str, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n{more}\r\n".encode()


async def endless(head: bytes, piece: bytes, pause_s: float = 0) -> AsyncIterator[bytes]:
    yield head
    while True:
        yield piece
        await asyncio.sleep(pause_s)


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def never() -> AsyncIterator[bytes]:
    await asyncio.sleep(HANG)
    yield b""


async def gigabyte(request: dict) -> AsyncIterator[bytes]:
    yield open_head("application/json")
    start = {"jsonrpc": "2.0", "id": request.get("id"), "result": {"resultType": "complete"}}
    text = json.dumps(start)[:-2] + ', "content": [{"type": "text", "text": "'
    yield text.encode()
    for _ in range(1024 * 1024 * 1024 // len(PIECE)):
        yield PIECE
    yield b'"}]}}'


async def many_values(request: dict) -> AsyncIterator[bytes]:
    result = (
        b'{"resultType":"complete","content":[],"structuredContent":{"v":[' + b"{}," * 2_500_000
    )
    head = f'{{"jsonrpc":"2.0","id":{request.get("id")},"result":'.encode()
    yield http(head + result + b"{}]}}}")


async def progress_flood(request: dict) -> AsyncIterator[bytes]:
    yield open_head("text/event-stream")
    token = request.get("id")
    params = {"progressToken": token, "progress": 1, "message": "m"}
    note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
    event = b"data: " + json.dumps(note).encode() + b"\n\n"
    while True:
        yield event * 400
        await asyncio.sleep(0.01)


async def events_then_end(request: dict) -> AsyncIterator[bytes]:
    yield open_head("text/event-stream")
    yield b"id: 7\nretry: 3600000\ndata:\n\n"


def mischief(mode: str, request: dict) -> AsyncIterator[bytes]:
    """Return the bytes of a misbehaving answer."""
    bomb = gzip.compress(b"a" * 200_000_000, compresslevel=1) if mode == "gzip_bomb" else b""
    encoded = f"content-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n"
    plain = {
        "garbage_json": http(b'{"jsonrpc": "2.0", "id": 1, "resu'),
        "wrong_id": http(b'{"jsonrpc":"2.0","id":987654,"result":{}}'),
        "wrong_shape": reply(request, {"content": 42}),
        "nested_json": http(b"[" * 4_000_000),
        "garbage_sse": http(b"data: {nonsense\n\n", kind="text/event-stream"),
        "gzip_bomb": open_head("application/json", encoded) + bomb,
        "redirect": http(
            b"", status="307 Temporary Redirect", more="location: http://127.0.0.1:9/\r\n"
        ),
        "unauthorized": http(b"{}", status="401 Unauthorized"),
        "server_error": http(b"boom", status="500 Internal Server Error", kind="text/plain"),
        "html": http(b"<html>hello</html>", kind="text/html"),
        "internal_error": rpc_error(request, -32603, "boom"),
        "reset": b"",
    }
    if mode in plain:
        return once(plain[mode])
    streams = {
        "hang": never,
        "endless_json": lambda: endless(open_head("application/json"), PIECE),
        "endless_event": lambda: endless(open_head("text/event-stream") + b"data: ", PIECE),
        "endless_comments": lambda: endless(open_head("text/event-stream"), b": ping\n\n", 0.01),
        "comment_flood": lambda: endless(open_head("text/event-stream"), b":\n\n" * 20_000),
        "trickle": lambda: endless(open_head("application/json"), b" ", 0.05),
        "header_flood": lambda: endless(
            b"HTTP/1.1 200 OK\r\n", b"x-flood: " + b"y" * 4000 + b"\r\n"
        ),
        "header_trickle": lambda: endless(b"HTTP/1.1 200 OK\r\n", b"x", 0.05),
        "gigabyte": lambda: gigabyte(request),
        "many_values": lambda: many_values(request),
        "progress_flood": lambda: progress_flood(request),
        "resume_trap": lambda: events_then_end(request),
    }
    return streams[mode]()


def listing(mode: str, request: dict) -> dict:
    page = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    if mode == "endless_pages":
        cursor = request.get("params", {}).get("cursor") or "0"
        number = int(cursor) + 1
        return page | {"tools": [TOOL | {"name": f"t{number}"}], "nextCursor": str(number)}
    if mode == "ten_thousand_tools":
        return page | {"tools": [TOOL | {"name": f"t{n:05}"} for n in range(10_000)]}
    if mode == "too_many_tools":
        return page | {"tools": [TOOL | {"name": f"t{n:05}"} for n in range(3_000)]}
    if mode == "poisoned":
        return page | {"tools": POISONED}
    return page | {"tools": [TOOL]}


def answer(mode: str, request: dict) -> AsyncIterator[bytes]:
    method = request.get("method", "")
    during_calls = mode.startswith("call_")
    if during_calls and method == "tools/call":
        return mischief(mode.removeprefix("call_"), request)
    if not during_calls and mode not in LIST_MODES:
        return mischief(mode, request)
    if method == "server/discover":
        return once(reply(request, DISCOVERED))
    if method == "tools/list":
        return once(reply(request, listing(mode, request)))
    return once(http(b"{}", status="404 Not Found"))


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    mode = ""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            mode = head.split()[1].strip("/")
            size = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
            request = json.loads(await reader.readexactly(size) or b"{}")
            async for piece in answer(mode, request):
                writer.write(piece)
                await writer.drain()
            if mode.endswith(("reset", "resume_trap", "gigabyte")):
                break
    with contextlib.suppress(ConnectionError):
        writer.transport.abort() if mode.endswith("reset") else writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
