"""Files kept by the orchestrator a server belongs to, over real HTTP between real processes."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from starlette.responses import RedirectResponse, Response

from servers.kit.orchestrator import api_token_file
from tests.fakes.files_server import NAME
from tests.fakes.orchestrator_api import FakeOrchestrator, running_orchestrator
from tests.fakes.orchestrator_files import problem
from tests.servers.kit.files_process import (
    belongs_to,
    called,
    kept_in,
    kill_in_the_middle,
    refusal,
    resident_bytes,
    running_files,
)
from tests.servers.kit.process import ServerProcess

MEGABYTES = 64
MAX_GROWTH_BYTES = 32 * 1024 * 1024
PATIENCE_S = 10


@pytest.fixture
async def orchestrator() -> AsyncGenerator[FakeOrchestrator]:
    async with running_orchestrator() as fake:
        yield fake


@pytest.fixture
async def server(orchestrator: FakeOrchestrator, tmp_path: Path) -> AsyncGenerator[ServerProcess]:
    with running_files(tmp_path, belongs_to(orchestrator, tmp_path)) as running:
        yield running


@pytest.fixture
async def client(server: ServerProcess) -> AsyncGenerator[Client[StreamableHttpTransport]]:
    async with server.client() as client:
        yield client


async def test_a_file_is_uploaded_described_and_read(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    kept = await called(client, "save_text", name="Größe 100%.txt", text="0123456789")
    found = orchestrator.files.kept[kept["attachment_id"]]
    whole = await called(client, "fetch_file", attachment_id=kept["attachment_id"])
    part = await called(client, "fetch_file", attachment_id=kept["attachment_id"], start=7)
    end = await called(client, "fetch_file", attachment_id=kept["attachment_id"], start=10)
    copy = await called(client, "copy_file", attachment_id=kept["attachment_id"], name="b.txt")

    assert kept["attachment_id"].startswith("att_")
    assert (found.name, found.mime, found.content) == (
        "Größe 100%.txt", "text/plain", b"0123456789",
    )  # fmt: skip
    assert kept["link"].uri.startswith(f"{orchestrator.url}/api/attachments/att_")
    assert whole["sha256"] == found.sha256
    assert part["sha256"] == hashlib.sha256(b"789").hexdigest()
    assert end["size_bytes"] == 0
    assert orchestrator.files.kept[copy["attachment_id"]].content == b"0123456789"
    assert kept_in(tmp_path) == []


async def test_a_large_file_passes_through_little_memory(
    server: ServerProcess,
    client: Client[StreamableHttpTransport],
    orchestrator: FakeOrchestrator,
) -> None:
    orchestrator.files.max_bytes = 100 << 20
    orchestrator.files.keeps_content = False
    small = await called(client, "make_report", name="s.bin", megabytes=1)
    await called(client, "fetch_file", attachment_id=small["attachment_id"])
    before = resident_bytes(server)
    large = await called(client, "make_report", name="l.bin", megabytes=MEGABYTES)
    read = await called(client, "fetch_file", attachment_id=large["attachment_id"])

    assert large["size_bytes"] == read["size_bytes"] == MEGABYTES << 20
    assert read["sha256"] == orchestrator.files.kept[large["attachment_id"]].sha256
    assert resident_bytes(server) - before < MAX_GROWTH_BYTES


async def test_an_orchestrator_that_is_away_is_told_and_nothing_is_kept_elsewhere(
    tmp_path: Path,
) -> None:
    async with running_orchestrator() as gone:
        environment = belongs_to(gone, tmp_path)
    with running_files(tmp_path, environment) as server:
        async with server.client() as client:
            saved = await refusal(client, "save_text", name="x", text="x")
            read = await refusal(client, "fetch_file", attachment_id="att_1")

    assert saved == read
    assert saved.startswith(f"The orchestrator at {gone.url} keeps this server's files, and it")
    assert kept_in(tmp_path) == []


async def test_ids_say_where_a_file_is_after_a_server_joined(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    environment = {"FLOTILLA_ORCHESTRATOR_URL": orchestrator.url}
    with running_files(tmp_path, environment) as server:
        async with server.client() as client:
            own = await called(client, "save_text", name="x", text="x")
            belongs_to(orchestrator, tmp_path)
            theirs = await called(client, "save_text", name="x", text="x")
            read = [
                await called(client, "fetch_file", attachment_id=kept["attachment_id"])
                for kept in (own, theirs)
            ]

    assert own["attachment_id"].startswith("file_")
    assert theirs["attachment_id"].startswith("att_")
    assert read[0]["sha256"] == read[1]["sha256"]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, "The file 'x.txt' was not kept: So it is."),
        (401, "The orchestrator does not take this server's token any more: restart"),
        (403, "The file 'x.txt' was not kept: So it is. This server's token is not for files."),
        (413, "The file 'x.txt' was not kept: So it is."),
        (415, "The file 'x.txt' was not kept: So it is."),
        (500, "The file 'x.txt' was not kept: So it is."),
        (507, "The file 'x.txt' was not kept: So it is. Make room on the disk"),
    ],
)
async def test_refusals_become_sentences(
    client: Client[StreamableHttpTransport],
    orchestrator: FakeOrchestrator,
    tmp_path: Path,
    status: int,
    sentence: str,
) -> None:
    orchestrator.answer = problem(status, "x", "So it is.")

    assert (await refusal(client, "save_text", name="x.txt", text="x")).startswith(sentence)
    assert kept_in(tmp_path) == []


async def test_a_file_over_the_orchestrators_limit_is_refused_on_the_way(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator
) -> None:
    orchestrator.files.max_bytes = 1 << 20

    message = await refusal(client, "make_report", name="l.bin", megabytes=MEGABYTES)

    assert "Files have at most 1048576 bytes." in message
    assert orchestrator.files.kept == {}


async def test_a_type_it_does_not_keep_and_an_empty_file_are_refused(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator
) -> None:
    assert "application/zip is not kept." in await refusal(
        client, "save_text", name="x.zip", text="x"
    )
    assert "The upload is empty" in await refusal(client, "save_text", name="x.txt", text="")
    assert orchestrator.files.kept == {}


async def test_a_revoked_token_and_a_new_one_take_effect_at_once(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    path = tmp_path / api_token_file(NAME)
    path.write_text("r" * 43, encoding="ascii")
    revoked = await refusal(client, "save_text", name="x", text="x")
    belongs_to(orchestrator, tmp_path)

    assert revoked.startswith("The orchestrator does not take this server's token any more")
    assert (await called(client, "save_text", name="x", text="x"))["size_bytes"] == 1


async def test_a_redirect_is_not_followed(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator
) -> None:
    orchestrator.answer = RedirectResponse("http://127.0.0.1:1/steal", 307)

    message = await refusal(client, "save_text", name="x", text="x")

    assert message == "The file 'x' was not kept (307)."


@pytest.mark.parametrize("content", ["", "[]", '{"items": []}', '{"items": [{"id": "../x"}]}'])
async def test_an_answer_that_makes_no_sense_is_told(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator, content: str
) -> None:
    orchestrator.answer = Response(content, 201, media_type="application/json")

    message = await refusal(client, "save_text", name="x", text="x")

    assert message.startswith("The orchestrator answered in a way that this server does not")


async def test_an_answer_without_end_is_told(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator
) -> None:
    orchestrator.answer = Response("x" * 1_000_000, 201)

    assert "answered with too much" in await refusal(client, "save_text", name="x", text="x")


async def test_a_download_that_breaks_off_is_told(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator
) -> None:
    kept = await called(client, "make_report", name="x.bin", megabytes=2)
    orchestrator.files.cut_at = 1 << 20

    message = await refusal(client, "fetch_file", attachment_id=kept["attachment_id"])
    copied = await refusal(client, "copy_file", attachment_id=kept["attachment_id"], name="y")

    assert message == "The connection to the orchestrator, which keeps the files, broke off."
    assert copied == message
    assert list(orchestrator.files.kept) == [kept["attachment_id"]]


async def test_a_source_that_breaks_leaves_nothing_there(
    client: Client[StreamableHttpTransport], orchestrator: FakeOrchestrator
) -> None:
    assert await refusal(client, "break_upload", name="x") == "The source broke off."
    async with asyncio.timeout(PATIENCE_S):
        await orchestrator.files.broken_off.wait()

    assert orchestrator.files.kept == {}


async def test_a_server_killed_in_the_middle_leaves_nothing_there(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    with running_files(tmp_path, belongs_to(orchestrator, tmp_path)) as server:
        await kill_in_the_middle(server)
    async with asyncio.timeout(PATIENCE_S):
        await orchestrator.files.broken_off.wait()

    assert orchestrator.files.kept == {}
