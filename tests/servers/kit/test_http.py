"""A server's HTTP as a stranger, a clumsy client and a slow one see it."""

import asyncio
import json
from typing import Literal

import httpx2
import pytest

from servers.kit.deadline import MAX_HEAD_BYTES
from servers.kit.guard import MAX_BODY_BYTES
from tests.servers.kit.probe import SECRET
from tests.servers.kit.process import ServerProcess
from tests.servers.kit.raw import raw_request

ANSWER_LIMIT_S = 5


async def connect(server: ServerProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = httpx2.URL(server.url)
    assert url.port is not None
    return await asyncio.open_connection(url.host, url.port)


async def whole_answer(reader: asyncio.StreamReader) -> bytes:
    """All bytes until the server closes; an abort counts as a close."""
    async with asyncio.timeout(ANSWER_LIMIT_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


def head(server: ServerProcess, *lines: str) -> bytes:
    request = raw_request("tools/list", headers={"Authorization": f"Bearer {server.token}"})
    headers = [f"{name}: {value}" for name, value in request["headers"].items()]
    fixed = ["POST /mcp HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*fixed, *headers, *lines, "", ""]).encode()


async def test_a_body_over_1_mib_is_refused_before_it_is_read(
    probe_process: ServerProcess,
) -> None:
    reader, writer = await connect(probe_process)
    writer.write(head(probe_process, f"Content-Length: {MAX_BODY_BYTES + 1}"))

    assert (await whole_answer(reader)).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_chunked_body_over_1_mib_is_refused(probe_process: ServerProcess) -> None:
    reader, writer = await connect(probe_process)
    writer.write(head(probe_process, "Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    for _ in range(17):
        writer.write(chunk)

    async with asyncio.timeout(ANSWER_LIMIT_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_body_of_nearly_1_mib_is_read(probe_process: ServerProcess) -> None:
    request = raw_request("tools/list", headers={"Authorization": f"Bearer {probe_process.token}"})
    request["json"]["params"]["padding"] = "x" * (MAX_BODY_BYTES - 1_000)
    async with httpx2.AsyncClient(verify=False) as client:
        answer = await client.post(probe_process.url, **request)

    assert len(answer.json()["result"]["tools"]) == 5


async def test_answers_are_never_compressed(probe_process: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {probe_process.token}", "Accept-Encoding": "gzip"}
    async with httpx2.AsyncClient(verify=False) as client:
        answer = await client.post(probe_process.url, **raw_request("tools/list", headers=headers))

    assert "content-encoding" not in answer.headers
    assert "server" not in answer.headers


async def test_blanks_around_header_values_do_not_count(probe_process: ServerProcess) -> None:
    headers = {
        "Authorization": f"Bearer {probe_process.token}",
        "Mcp-Name": "add \t ",
        "Mcp-Method": " tools/call ",
    }
    request = raw_request("tools/call", "add", {"left": 1}, headers)
    body = json.dumps(request["json"])
    lines = [f"{name}: {value}" for name, value in request["headers"].items()]
    reader, writer = await connect(probe_process)
    writer.write(
        "\r\n".join(
            [
                "POST /mcp HTTP/1.1",
                "Host: localhost \t",
                "Content-Type: application/json",
                "Connection: close",
                f"Content-Length: {len(body)}",
                *lines,
                "",
                body,
            ]
        ).encode()
    )

    answer = await whole_answer(reader)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"structuredContent":{"total":1}' in answer
    writer.close()


async def test_masked_errors_stay_masked_on_the_wire(probe_process: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {probe_process.token}"}
    async with httpx2.AsyncClient(verify=False) as client:
        answer = await client.post(
            probe_process.url, **raw_request("tools/call", "crash", headers=headers)
        )

    assert answer.json()["result"]["isError"] is True
    assert SECRET not in answer.text
    assert SECRET in probe_process.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /mcp HT",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n",
        b"\r\n\r\n",
    ],
)
async def test_a_half_open_connection_is_dropped(probe_process: ServerProcess, sent: bytes) -> None:
    reader, writer = await connect(probe_process)
    writer.write(sent)

    assert await whole_answer(reader) == b""
    writer.close()


async def test_a_body_that_never_ends_is_dropped(probe_process: ServerProcess) -> None:
    reader, writer = await connect(probe_process)
    writer.write(head(probe_process, "Content-Length: 1000") + b"{")

    assert await whole_answer(reader) == b""
    writer.close()


async def test_trickling_bytes_do_not_move_the_deadline(probe_process: ServerProcess) -> None:
    reader, writer = await connect(probe_process)
    answer = asyncio.create_task(whole_answer(reader))
    writer.write(head(probe_process, "Content-Length: 1000"))
    started = asyncio.get_running_loop().time()
    while not answer.done():
        writer.write(b" ")
        await asyncio.wait([answer], timeout=0.05)

    assert await answer == b""
    assert asyncio.get_running_loop().time() - started < ANSWER_LIMIT_S
    writer.close()


async def test_a_second_request_has_a_deadline_too(probe_process: ServerProcess) -> None:
    reader, writer = await connect(probe_process)
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in await reader.readline()
    writer.write(b"GET /health HTTP/1.1\r\nHost: loc")

    assert (await whole_answer(reader)).endswith(b'"status": "ok"}')
    writer.close()


async def test_a_head_without_end_is_dropped(probe_process: ServerProcess) -> None:
    reader, writer = await connect(probe_process)
    writer.write(b"GET /health HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1))

    assert await whole_answer(reader) == b""
    writer.close()


async def test_a_slow_answer_is_not_dropped(probe_process: ServerProcess) -> None:
    async with probe_process.client() as client:
        result = await client.call_tool("wait", {"seconds": 0.6})

    assert result.structured_content == {"text": "held"}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_progress_reaches_clients_of_both_eras(
    probe_process: ServerProcess, mode: Literal["auto", "legacy"]
) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with probe_process.client(mode) as client:
        await client.call_tool("wait", {"seconds": 0}, progress_handler=note)

    assert seen == [(1, 2, "held")]


async def test_only_who_shows_the_token_learns_which_process_it_is(
    probe_process: ServerProcess,
) -> None:
    url = f"{probe_process.origin}/health"
    async with httpx2.AsyncClient(trust_env=False) as http:
        anybody = await http.get(url)
        wrong = await http.get(url, headers={"Authorization": "Bearer wrong"})
        right = await http.get(url, headers={"Authorization": f"Bearer {probe_process.token}"})

    assert set(anybody.json()) == {"name", "version", "status"}
    assert wrong.status_code == 401
    assert right.json()["process"]["pid"] == probe_process.process.pid
    assert set(right.json()["process"]) == {"pid", "started_ticks", "boot_id"}
