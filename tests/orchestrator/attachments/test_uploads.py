"""Files come in whole or not at all, and go out as they came in."""

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.names import clean_name, content_disposition
from orchestrator.domain.times import utc_now
from orchestrator.errors import (
    InvalidRequest,
    NotFound,
    StorageFull,
    TooLarge,
    UnsupportedType,
)
from orchestrator.store import sessions
from tests.fakes import documents
from tests.orchestrator.attachments.desk import ANN, BO, MAX_BYTES, Desk, names, opened, png, whole


@pytest.fixture
async def desk(tmp_path: Path, store: BlobStore):
    """On a folder and on a bucket."""
    async with opened(tmp_path, store) as desk:
        yield desk


@pytest.fixture
async def local_desk(tmp_path: Path, local: LocalBlobStore):
    async with opened(tmp_path, local) as desk:
        yield desk


async def nothing_is_left(desk: Desk) -> bool:
    await desk.until(lambda rows: not rows)
    return await names(desk.store) == set()


@pytest.mark.parametrize("size", [100, 262_144, 262_145, MAX_BYTES])
async def test_a_file_comes_back_as_it_went_in(desk: Desk, size: int) -> None:
    content = png(size)
    saved = await desk.save(content, name="photo.png", tool_call_id="call_1")
    assert (saved.name, saved.mime, saved.size_bytes) == ("photo.png", "image/png", size)
    assert saved.sha256 == hashlib.sha256(content).hexdigest()
    assert saved.tool_call_id == "call_1"
    assert await desk.files.get(ANN, saved.id) == saved
    assert await whole(desk.files.open(ANN, saved.id)) == content
    assert await whole(desk.files.bytes_of(saved, start=3, end=50)) == content[3:50]
    assert await names(desk.store) == {saved.id}


async def test_a_refused_file_leaves_nothing(desk: Desk) -> None:
    for content, error in (
        (png(MAX_BYTES + 1), TooLarge),
        (os.urandom(30_000), UnsupportedType),
        (b"MZ\x90\0\3" * 100, UnsupportedType),
    ):
        with pytest.raises(error):
            await desk.save(content)
        assert await nothing_is_left(desk)


async def test_an_empty_file_is_refused(local_desk: Desk) -> None:
    async def nothing() -> AsyncGenerator[bytes]:
        for chunk in (b"", b""):
            yield chunk

    with pytest.raises(InvalidRequest):
        await local_desk.save(chunks=nothing())
    assert await local_desk.rows() == {}


async def test_a_source_that_breaks_leaves_nothing(desk: Desk) -> None:
    async def breaking(after: int) -> AsyncGenerator[bytes]:
        yield png(after)
        raise ConnectionResetError("the client went away")

    for after in (50, 400_000):
        with pytest.raises(ConnectionResetError):
            await desk.save(chunks=breaking(after))
        assert await nothing_is_left(desk)


async def test_a_cancelled_upload_leaves_nothing(desk: Desk) -> None:
    is_waiting = asyncio.Event()

    async def stalling() -> AsyncGenerator[bytes]:
        yield png(400_000)
        is_waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(desk.save(chunks=stalling()))
    await is_waiting.wait()
    assert list((await desk.rows()).values()) == ["incoming"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await nothing_is_left(desk)


async def test_a_file_whose_session_is_deleted_while_it_comes_in_leaves_nothing(
    desk: Desk,
) -> None:
    session_id = await desk.session()

    async def slow() -> AsyncGenerator[bytes]:
        yield png(400_000)
        await desk.database.write(sessions.remove, ANN, session_id)
        desk.files.were_deleted()
        yield b"more"

    with pytest.raises(NotFound):
        await desk.save(chunks=slow(), session_id=session_id)
    assert await nothing_is_left(desk)


async def test_a_full_disk_leaves_nothing_but_what_was_there(
    tmp_path: Path, local: LocalBlobStore
) -> None:
    class FullStore(LocalBlobStore):
        async def write(self, name, chunks, *, mime_type):
            async for _ in chunks:
                raise StorageFull("The disk is full.")

    async with opened(tmp_path, local) as desk:
        kept = await desk.save()
    full = FullStore(tmp_path / "attachments", local._own)
    async with opened(tmp_path, full) as desk:
        with pytest.raises(StorageFull):
            await desk.save(png(500_000))
        await desk.until(lambda rows: rows == {kept.id: "ready"})
        assert await whole(desk.files.open(ANN, kept.id)) == png()
    await full.aclose()


async def test_twenty_at_once_are_all_kept_and_told_apart(desk: Desk) -> None:
    contents = {f"{number}.png": png(30_000 + number) for number in range(20)}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(desk.save(body, name=name)) for name, body in contents.items()]
    saved = [task.result() for task in tasks]
    assert await names(desk.store) == {one.id for one in saved}
    for one in saved:
        assert await whole(desk.files.open(ANN, one.id)) == contents[one.name]


async def test_a_file_is_never_whole_in_memory(local_desk: Desk) -> None:
    local_desk.files.max_size_bytes = size = 30_000_000

    async def large() -> AsyncGenerator[bytes]:
        yield png(1_000)
        for _ in range(size // 65_536 - 1):
            yield bytes(65_536)

    tracemalloc.start()
    try:
        await local_desk.save(chunks=large())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000


async def test_the_type_is_found_in_the_bytes_and_the_name_follows_it(local_desk: Desk) -> None:
    for name, declared, content, expected in (
        ("page.html", "text/html", b"<script>1</script>", ("page.html.txt", "text/plain")),
        ("photo.png.exe", "application/pdf", png(), ("photo.png.exe.png", "image/png")),
        ("notes", "text/markdown", b"# Notes", ("notes.md", "text/markdown")),
        ("notes", None, b"# Notes", ("notes.txt", "text/plain")),
        ("table", "text/csv; charset=utf-8", b"a,b\n1,2\n", ("table.csv", "text/csv")),
        ("logo.svg", "image/svg+xml", b"<svg onload='x()'/>", ("logo.svg.txt", "text/plain")),
    ):
        saved = await local_desk.save(content, name=name, declared_mime=declared)
        assert (saved.name, saved.mime) == expected


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        ("a\0b\x1b[31m.png", "ab[31m.png"),
        ("gnp.\u202eexe", "gnp.exe"),
        ("  two \n lines\t.txt ", "two lines .txt"),
        ("...", "file"),
        ("", "file"),
        ("/", "file"),
        (".hidden", "hidden"),
        ("\ud800broken.png", "broken.png"),
        ("e\u0301te\u0301.md", "été.md"),
        ("👋.png", "👋.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("x" * 300, "x" * 200),
        ("x." + "y" * 300, "x." + "y" * 198),
    ],
)
def test_names_are_one_plain_line_without_a_path(name: str, clean: str) -> None:
    assert clean_name(name) == clean
    assert clean_name(clean) == clean


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.png", "inline; filename=\"a b.png\"; filename*=UTF-8''a%20b.png"),
        ('"\\%.png', "inline; filename=\"___.png\"; filename*=UTF-8''%22%5C%25.png"),
        ("é;\r\nX: y", "inline; filename=\"_;__X: y\"; filename*=UTF-8''%C3%A9%3B%0D%0AX%3A%20y"),
    ],
)
def test_names_are_quoted_in_the_header(name: str, header: str) -> None:
    assert content_disposition("inline", name) == header


async def test_addresses_end_and_are_made_anew_when_read(desk: Desk) -> None:
    saved = await desk.save()
    signed = await desk.files.signed(saved)
    ends = datetime.fromisoformat(signed.url_expires_at) - utc_now()
    assert timedelta(seconds=3_590) < ends <= timedelta(hours=1)
    query = parse_qs(urlsplit(signed.url).query)
    assert signed.url.startswith(f"/api/attachments/{saved.id}/content?")
    assert query["disposition"] == ["inline"]
    assert int(query["expires"][0]) >= datetime.fromisoformat(signed.url_expires_at).timestamp()
    assert signed.delivery_url.startswith("http://127.0.0.1")
    assert signed.expires_at is not None
    life = datetime.fromisoformat(signed.expires_at) - utc_now()
    assert timedelta(days=29) < life <= timedelta(days=30)


async def test_the_size_of_a_picture_is_kept(local_desk: Desk) -> None:
    picture = await local_desk.save(documents.png(400, 300))
    other = await local_desk.save(b"text", name="a.txt")
    assert (picture.width, picture.height) == (400, 300)
    assert (other.width, other.height) == (None, None)
    again, _ = await local_desk.files.all_signed([picture, other])
    assert (again.id, again.width, again.height) == (picture.id, 400, 300)
    await local_desk.change(picture.id, width=None, height=None)  # as before there were sizes
    assert (await local_desk.files.get(ANN, picture.id)).width is None


async def test_what_is_kept_for_ever_says_so(tmp_path: Path, local: LocalBlobStore) -> None:
    async with opened(tmp_path, local) as desk:
        session_id = await desk.session()
        saved = await desk.save(session_id=session_id)
        await desk.database.write(sessions.pin, ANN, session_id, pinned=True)
        pinned = await desk.files.signed(await desk.files.get(ANN, saved.id))
        assert pinned.expires_at is None
    async with opened(tmp_path, local, retention_days=0) as desk:
        assert (await desk.files.signed(saved)).expires_at is None


async def test_a_use_is_written_once_an_hour(local_desk: Desk) -> None:
    saved = await local_desk.save()
    await local_desk.files.use(ANN, [saved])
    assert await local_desk.files.get(ANN, saved.id) == saved
    await local_desk.age(saved.id, hours=2)
    old = await local_desk.files.get(ANN, saved.id)
    await local_desk.files.use(ANN, [old])
    assert (await local_desk.files.get(ANN, saved.id)).last_used_at > old.last_used_at


async def test_several_are_deleted_together_or_not_at_all(desk: Desk) -> None:
    first, second, kept = [await desk.save() for _ in range(3)]
    with pytest.raises(NotFound):
        await desk.files.delete(ANN, [first.id, "att_none"])
    assert await desk.files.get(ANN, first.id) == first
    with pytest.raises(NotFound):
        await desk.files.delete(BO, [first.id])
    await desk.files.delete(ANN, [first.id, second.id])
    with pytest.raises(NotFound):
        await whole(desk.files.open(ANN, first.id))
    await desk.until(lambda rows: rows == {kept.id: "ready"})
    assert await names(desk.store) == {kept.id}


async def test_of_many_who_delete_one_file_one_does(desk: Desk) -> None:
    saved = await desk.save()
    tasks = [asyncio.create_task(desk.files.delete(ANN, [saved.id])) for _ in range(10)]
    await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks]
    assert errors.count(None) == 1
    assert all(isinstance(error, NotFound) for error in errors if error is not None)
    assert await nothing_is_left(desk)
