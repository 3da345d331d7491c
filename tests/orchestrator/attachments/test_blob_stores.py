"""What a folder and a bucket promise alike: every test runs on both."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from orchestrator.attachments import gcs_blobs
from orchestrator.attachments.blobs import BlobStore
from orchestrator.errors import BlobExists, BlobNotFound, FlotillaError, InvalidRequest
from tests.fakes.gcs import BUCKET
from tests.orchestrator.attachments.houses import House, all_names, keep, source, whole

CHUNK = 256 * 1024
PART = gcs_blobs.PART_BYTES
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 7)
WRONG_NAMES = ("", "ab", "ABC", "../abc", "abc/def", "abc.def", "äöü", "abc\n", "abc\0", "a" * 81)
LONG = secrets.token_bytes(PART + 10)


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_written_is_read(store: BlobStore, size: int):
    content = secrets.token_bytes(size)
    assert await keep(store, "att_1", content) == size
    assert await whole(store.read("att_1")) == content
    info = await store.stat("att_1")
    assert info is not None
    assert info.size_bytes == size


async def test_many_small_chunks_and_empty_ones_are_one_blob(store: BlobStore):
    chunks = [bytes([number]) * (number % 7) for number in range(256)]
    assert await store.write("att_1", source(*chunks), mime_type="text/plain") == sum(
        map(len, chunks)
    )
    assert await whole(store.read("att_1")) == b"".join(chunks)


async def test_a_source_without_a_chunk_is_an_empty_blob(store: BlobStore):
    assert await store.write("att_1", source(), mime_type="text/plain") == 0
    assert await whole(store.read("att_1")) == b""


@pytest.mark.parametrize("name", ["abc", "a" * 80, "att_0193f00ba4", "___", "000"])
async def test_a_name_may_be_all_of_its_letters(store: BlobStore, name: str):
    await keep(store, name, b"one")
    assert await all_names(store) == {name}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 1, b"0"),
        (0, None, b"0123456789"),
        (7, None, b"789"),
        (9, 10, b"9"),
        (3, 6, b"345"),
        (5, 5, b""),
        (0, 0, b""),
        (0, 100, b"0123456789"),
        (8, 100, b"89"),
        (10, None, b""),
        (10, 11, b""),
        (100, 200, b""),
    ],
)
async def test_a_range_ends_before_its_end(
    store: BlobStore, start: int, end: int | None, expected: bytes
):
    await keep(store, "att_1", b"0123456789")
    assert await whole(store.read("att_1", start=start, end=end)) == expected


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (CHUNK - 3, CHUNK + 3),
        (PART - 3, PART + 3),
        (PART, None),
        (1, PART + 1),
        (0, PART),
        (PART + 9, None),
    ],
)
async def test_a_range_may_cross_the_borders_of_chunks(
    store: BlobStore, start: int, end: int | None
):
    await keep(store, "att_1", LONG)
    assert await whole(store.read("att_1", start=start, end=end)) == LONG[start:end]


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 1), (1, None)])
async def test_no_range_of_an_empty_blob_has_bytes(store: BlobStore, start: int, end: int | None):
    await keep(store, "att_1", b"")
    assert await whole(store.read("att_1", start=start, end=end)) == b""


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4), (-5, -2)])
async def test_a_range_that_cannot_be_is_refused(store: BlobStore, start: int, end: int | None):
    await keep(store, "att_1", b"0123456789")
    with pytest.raises(InvalidRequest):
        await whole(store.read("att_1", start=start, end=end))


async def test_a_missing_blob_is_missed_before_the_first_chunk(store: BlobStore):
    with pytest.raises(BlobNotFound):
        await anext(store.read("att_1"))
    assert await store.stat("att_1") is None


@pytest.mark.parametrize("name", WRONG_NAMES)
async def test_a_name_that_is_no_blobs_reaches_no_place(store: BlobStore, name: str):
    calls: list[Callable[[], object]] = [
        lambda: keep(store, name, b"x"),
        lambda: whole(store.read(name)),
        lambda: store.stat(name),
        lambda: store.delete(name),
        lambda: _address(store, name),
    ]
    for call in calls:
        with pytest.raises(InvalidRequest):
            await call()  # type: ignore[misc]
    assert await all_names(store) == set()


async def test_a_blob_is_never_written_over(store: BlobStore):
    await keep(store, "att_1", b"first")
    with pytest.raises(BlobExists):
        await keep(store, "att_1", b"second")
    assert await whole(store.read("att_1")) == b"first"


async def test_of_many_that_write_one_name_one_wins(store: BlobStore):
    contents = [bytes([number]) * (PART + number) for number in range(6)]
    writes = [asyncio.create_task(keep(store, "att_1", content)) for content in contents]
    await asyncio.wait(writes)
    errors = [write.exception() for write in writes]
    won = [content for content, error in zip(contents, errors, strict=True) if error is None]
    assert len(won) == 1
    assert {type(error) for error in errors if error is not None} == {BlobExists}
    assert await whole(store.read("att_1")) == won[0]


async def test_many_may_write_and_read_at_the_same_time(store: BlobStore):
    contents = {f"att_{number}": secrets.token_bytes(300_000 + number) for number in range(20)}

    async def write_and_read(name: str, content: bytes) -> None:
        await store.write(name, _pieces(content), mime_type="text/plain")
        assert await whole(store.read(name)) == content

    async with asyncio.TaskGroup() as group:
        for name, content in contents.items():
            group.create_task(write_and_read(name, content))
    assert await all_names(store) == contents.keys()


async def test_what_is_deleted_is_gone(store: BlobStore):
    await keep(store, "att_1", b"one")
    await keep(store, "att_2", b"two")
    await store.delete("att_1")
    assert await store.stat("att_1") is None
    with pytest.raises(BlobNotFound):
        await whole(store.read("att_1"))
    assert await all_names(store) == {"att_2"}


async def test_a_missing_blob_can_be_deleted(store: BlobStore):
    await store.delete("att_1")
    await store.delete("att_1")
    assert await all_names(store) == set()


async def test_many_may_delete_one_blob(store: BlobStore):
    await keep(store, "att_1", b"one")
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(store.delete("att_1"))
    assert await store.stat("att_1") is None


async def test_a_deleted_name_is_free_again(store: BlobStore):
    await keep(store, "att_1", b"one")
    await store.delete("att_1")
    await keep(store, "att_1", b"two")
    assert await whole(store.read("att_1")) == b"two"


async def test_a_blob_knows_when_it_was_written(store: BlobStore):
    before = datetime.now(UTC) - timedelta(seconds=2)
    await keep(store, "att_1", b"one")
    info = await store.stat("att_1")
    assert info is not None
    assert info.name == "att_1"
    assert before <= info.created_at <= datetime.now(UTC) + timedelta(seconds=2)


async def test_an_empty_store_has_no_names(store: BlobStore):
    assert await all_names(store) == set()


async def test_all_names_are_listed_over_all_pages(house: House):
    if house.gcs:
        house.gcs.page_size = 3
    sizes = {f"att_{number:02}": number for number in range(10)}
    for name, size in sizes.items():
        await keep(house.store, name, b"x" * size)
    listed = [info async for info in house.store.names()]
    assert {info.name: info.size_bytes for info in listed} == sizes
    assert len(listed) == len(sizes)
    if house.gcs:
        assert house.gcs.seen.count("list") == 4


async def test_what_others_keep_in_the_same_place_is_not_listed(house: House, emulator_port: int):
    await keep(house.store, "att_1", b"one")
    if house.folder:
        next(house.folder.glob("*/att_1")).with_name("Holiday.jpg").write_bytes(b"x")
        (house.folder / "notes.txt").write_bytes(b"x")
    else:
        url = f"http://127.0.0.1:{emulator_port}/upload/storage/v1/b/{BUCKET}/o"
        query = {"uploadType": "media", "name": "Holiday.jpg"}
        httpx2.post(url, params=query, content=b"x").raise_for_status()
    assert await all_names(house.store) == {"att_1"}


class SourceBroke(Exception):
    """What a source of a test raises."""


@pytest.mark.parametrize("error", [SourceBroke, FileExistsError, ValueError, TimeoutError])
@pytest.mark.parametrize("chunks", [0, 1, 5])
async def test_nothing_is_kept_of_a_source_that_breaks_off(
    store: BlobStore, chunks: int, error: type[Exception]
):
    async def breaking() -> AsyncGenerator[bytes]:
        for _ in range(chunks):
            yield b"x" * 600_000
        raise error("broke off")

    with pytest.raises(error, match="broke off"):
        await store.write("att_1", breaking(), mime_type="text/plain")
    await _assert_free(store)


@pytest.mark.parametrize("chunks", [0, 1, 5])
async def test_nothing_is_kept_of_a_write_that_is_cancelled(store: BlobStore, chunks: int):
    is_waiting = asyncio.Event()

    async def waiting() -> AsyncGenerator[bytes]:
        for _ in range(chunks):
            yield b"x" * 600_000
        is_waiting.set()
        await asyncio.Event().wait()

    write = asyncio.create_task(store.write("att_1", waiting(), mime_type="text/plain"))
    await is_waiting.wait()
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    await _assert_free(store)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13, 21, 34])
async def test_a_write_cancelled_at_any_moment_is_whole_or_nothing(store: BlobStore, steps: int):
    write = asyncio.create_task(keep(store, "att_1", LONG))
    for _ in range(steps):
        await asyncio.sleep(0)
    write.cancel()
    try:
        await write
    except asyncio.CancelledError:
        await _assert_free(store)
    else:
        assert await whole(store.read("att_1")) == LONG


async def test_a_loser_that_is_cancelled_leaves_the_winner_alone(store: BlobStore):
    is_waiting, go = asyncio.Event(), asyncio.Event()

    async def late() -> AsyncGenerator[bytes]:
        yield b"loser"
        is_waiting.set()
        await go.wait()

    loser = asyncio.create_task(store.write("att_1", late(), mime_type="text/plain"))
    await is_waiting.wait()
    await keep(store, "att_1", b"winner")
    go.set()
    with pytest.raises(BlobExists):
        await loser
    assert await whole(store.read("att_1")) == b"winner"


async def test_a_reader_may_leave_early(store: BlobStore):
    await keep(store, "att_1", LONG)
    for _ in range(50):
        async with aclosing(store.read("att_1")) as chunks:
            assert LONG.startswith(await anext(chunks))
    assert await whole(store.read("att_1")) == LONG


async def test_an_address_opens_its_blob(house: House):
    await keep(house.store, "att_1", b"one")
    assert await house.visitor.open(await _address(house.store, "att_1")) == (200, b"one")


@pytest.mark.parametrize("life_s", [60, 3_600, 86_400])
async def test_an_address_ends_with_its_life(house: House, life_s: int):
    await keep(house.store, "att_1", b"one")
    url = await _address(house.store, "att_1", life_s=life_s)
    house.visitor.wait(life_s - 30)
    assert (await house.visitor.open(url))[0] == 200
    house.visitor.wait(31)
    await _assert_shut(house, url)


@pytest.mark.parametrize("life_s", [0, -1, 86_401, 604_800])
async def test_an_address_lives_a_day_at_most(store: BlobStore, life_s: int):
    with pytest.raises(InvalidRequest):
        await _address(store, "att_1", life_s=life_s)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_an_address_is_for_reading(house: House, method: str):
    await keep(house.store, "att_1", b"one")
    await _assert_shut(house, await _address(house.store, "att_1"), method)
    assert await whole(house.store.read("att_1")) == b"one"


async def test_an_address_opens_no_other_blob(house: House):
    await keep(house.store, "att_1", b"one")
    await keep(house.store, "att_2", b"two")
    url = await _address(house.store, "att_1")
    await _assert_shut(house, url.replace("att_1", "att_2"))


async def test_no_parameter_of_an_address_can_be_changed(house: House):
    await keep(house.store, "att_1", b"one")
    url = urlsplit(await _address(house.store, "att_1", disposition="attachment"))
    values = dict(parse_qsl(url.query))
    changes = {key: _changed(text) for key, text in values.items()}
    for key, text in changes.items():
        query = urlencode(values | {key: text})
        await _assert_shut(house, url._replace(query=query).geturl())
    assert len(changes) >= 3


async def test_a_blob_need_not_be_there_to_be_signed_for(house: House):
    url = await _address(house.store, "att_1")
    await keep(house.store, "att_1", b"one")
    assert await house.visitor.open(url) == (200, b"one")


async def test_every_error_is_a_sentence(store: BlobStore):
    await keep(store, "att_1", b"one")
    for call in (keep(store, "att_1", b"two"), whole(store.read("att_2")), store.stat("?")):
        with pytest.raises(FlotillaError, match=r"^[A-Z].*\.$"):
            await call


async def _address(
    store: BlobStore, name: str, *, life_s: int = 60, disposition: str = "inline"
) -> str:
    return await store.signed_url(
        name,
        life_s=life_s,
        disposition="inline" if disposition == "inline" else "attachment",
        file_name="Ünï.txt",
        mime_type="text/plain",
    )


async def _assert_shut(house: House, url: str, method: str = "GET") -> None:
    status, body = await house.visitor.open(url, method)
    assert status in (400, 403)
    assert body == b""


async def _assert_free(store: BlobStore) -> None:
    """Check that nothing is kept under the name, and that it can be used."""
    assert await store.stat("att_1") is None
    assert await all_names(store) == set()
    await keep(store, "att_1", b"now")
    assert await whole(store.read("att_1")) == b"now"


async def _pieces(content: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


def _changed(text: str) -> str:
    if text.isdigit():
        return str(int(text) + 1)
    return text.replace("attachment", "inline") if "attachment" in text else f"{text}0"
