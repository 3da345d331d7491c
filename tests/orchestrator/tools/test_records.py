import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from orchestrator.domain.servers import ServerConfig
from orchestrator.errors import NotFound
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.records import AuditHead, ServerRecords
from orchestrator.tools.side_requests import SideRequests

HEAD = {"position": 7, "hash": "ab"}


class Answers:
    """A port that answers each request with the same bytes, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.requests: list[str] = []
        self.server = ServerConfig(
            id="mail", url=f"http://127.0.0.1:{port}/mail/mcp", trust="fleet"
        )


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Answers]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        answers.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer)
        if not answer:
            await reader.read()  # Says nothing until the other side goes.
        writer.close()
        await writer.wait_closed()

    handlers: list[asyncio.Task[object] | None] = []
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    answers = Answers(listener.sockets[0].getsockname()[1])
    async with listener:
        yield answers
        for handler in filter(None, handlers):
            await handler


@pytest.fixture
def records() -> ServerRecords:
    return ServerRecords(SideRequests(lambda _: "the-token", ssl.create_default_context()))


async def test_audit_rows_are_read_beside_the_mcp_address(records: ServerRecords):
    body = json.dumps({"items": [{"position": 7, "tool": "send"}], "head": HEAD}).encode()
    async with answering(reply(body)) as answers:
        rows = await records.audit_rows(answers.server, after=6, limit=10)
    assert (rows.items, rows.head) == ([{"position": 7, "tool": "send"}], AuditHead(**HEAD))
    (request,) = answers.requests
    assert request.startswith("GET /mail/audit?after=6&limit=10 ")
    assert "authorization: Bearer the-token" in request.lower().replace("bearer", "Bearer")


async def test_a_call_record_holds_what_the_tool_answered(records: ServerRecords):
    result = {"content": [{"type": "text", "text": "sent"}], "isError": False}
    body = json.dumps({"call_id": "call/1", "state": "done", "result": result}).encode()
    async with answering(reply(body)) as answers:
        record = await records.call_record(answers.server, "call/1")
    assert (record.state, record.result is not None) == ("done", True)
    assert answers.requests[0].startswith("GET /mail/calls/call%2F1 ")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(b"", "302 Found", "location: http://127.0.0.1:1/"), "redirect"),
        (reply(b"", "401 Unauthorized"), "auth"),
        (reply(b"", "404 Not Found"), "http"),
        (reply(b"{}"), "garbage"),
        (reply(b"not json"), "garbage"),
        (reply(b"\x1f\x8b", "200 OK", "content-encoding: gzip"), "garbage"),
        (reply(b" " * 5_000_000), "too_large"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "broken"),
        (b"", "timeout"),
    ],
)
async def test_whatever_else_comes_is_a_failure_of_a_known_kind(
    records: ServerRecords, answer: bytes, kind: str
):
    async with answering(answer) as answers:
        with pytest.raises(ExchangeFailed) as caught:
            await records.call_record(answers.server, "call_1")
    assert caught.value.kind == kind
    assert len(answers.requests) == 1


async def test_a_server_that_is_not_there_refuses(records: ServerRecords):
    async with answering(b"") as answers:
        pass
    with pytest.raises(ExchangeFailed) as caught:
        await records.call_record(answers.server, "call_1")
    assert caught.value.kind == "refused"


async def test_a_third_party_is_not_asked_for_records(records: ServerRecords):
    async with answering(reply(b"{}")) as answers:
        foreign = answers.server.model_copy(update={"trust": "third_party"})
        with pytest.raises(NotFound):
            await records.call_record(foreign, "call_1")
    assert answers.requests == []
