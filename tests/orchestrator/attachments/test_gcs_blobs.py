"""What only a bucket can do wrong: answers that fail, come late, come short or not at all."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from orchestrator.attachments.gcs_access import Place
from orchestrator.attachments.gcs_blobs import PART_BYTES, GcsBlobStore
from orchestrator.errors import BlobExists, BlobStoreRefused, BlobStoreUnavailable, FlotillaError
from tests.fakes.gcs import BUCKET, Fault, Gcs, Kind
from tests.orchestrator.attachments.houses import QUICK, all_names, keep, source, whole

# Google's client leaves an answer that it will not read to the garbage collector, socket and all.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

LONG = bytes(range(256)) * (PART_BYTES * 5 // 2 // 256)
DEADLINE_S = QUICK.retries_s + QUICK.request_s + 2

Call = Callable[[GcsBlobStore], Awaitable[object]]

CALLS: dict[str, Call] = {
    "initiate": lambda store: keep(store, "att_2", LONG),
    "part": lambda store: keep(store, "att_2", LONG),
    "get": lambda store: store.stat("att_1"),
    "media": lambda store: whole(store.read("att_1")),
    "delete": lambda store: store.delete("att_1"),
    "list": all_names,
}


@pytest.fixture
async def filled(bucket: GcsBlobStore) -> GcsBlobStore:
    """A bucket with one blob in it."""
    await keep(bucket, "att_1", LONG)
    return bucket


@pytest.mark.parametrize("route", CALLS)
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("refuse", 503),
        ("refuse", 429),
        ("refuse", 500),
        ("refuse", 408),
        ("lose", 503),
        ("cut", 0),
        ("stall", 0),
    ],
)
async def test_a_fault_that_passes_is_not_noticed(
    filled: GcsBlobStore, gcs: Gcs, route: str, kind: Kind, status: int
):
    gcs.faults = [Fault(route, kind, status=status)]
    await CALLS[route](filled)
    assert gcs.faults[0].times == 0
    assert (await filled.stat("att_1") is None) == (route == "delete")
    if route in ("initiate", "part"):
        assert await whole(filled.read("att_2")) == LONG


@pytest.mark.parametrize("route", CALLS)
@pytest.mark.parametrize("status", [503, 429])
async def test_a_fault_that_stays_is_said_within_the_deadline(
    filled: GcsBlobStore, gcs: Gcs, route: str, status: int
):
    gcs.faults = [Fault(route, "refuse", times=10_000, status=status)]
    begun = time.monotonic()
    with pytest.raises(BlobStoreUnavailable, match=f"The bucket {BUCKET}") as caught:
        await CALLS[route](filled)
    assert time.monotonic() - begun < DEADLINE_S
    assert caught.value.retryable
    gcs.faults = []
    assert await all_names(filled) == {"att_1"}


@pytest.mark.parametrize("route", ["part", "media"])
async def test_a_bucket_that_never_answers_is_given_up(filled: GcsBlobStore, gcs: Gcs, route: str):
    gcs.faults = [Fault(route, "stall", times=10_000)]
    begun = time.monotonic()
    with pytest.raises(BlobStoreUnavailable):
        await CALLS[route](filled)
    assert time.monotonic() - begun < DEADLINE_S + QUICK.request_s


async def test_a_bucket_that_is_not_there_is_unavailable(account, tmp_path: Path):
    store = GcsBlobStore(Place(BUCKET, "project", "http://127.0.0.1:9"), QUICK)
    with pytest.raises(BlobStoreUnavailable):
        await store.stat("att_1")
    await store.aclose()


async def test_a_short_answer_does_not_pass_for_a_whole_one(filled: GcsBlobStore, gcs: Gcs):
    gcs.faults = [Fault("media", "shorten")]
    with pytest.raises(BlobStoreUnavailable, match="ended before its last byte"):
        await whole(filled.read("att_1"))


async def test_the_first_write_whose_answer_was_lost_is_not_taken_for_a_second(
    bucket: GcsBlobStore, gcs: Gcs
):
    gcs.faults = [Fault("part", "lose", times=2)]
    assert await keep(bucket, "att_1", b"one") == 3
    assert await whole(bucket.read("att_1")) == b"one"


async def test_what_was_kept_without_an_answer_is_taken_back(bucket: GcsBlobStore, gcs: Gcs):
    gcs.faults = [Fault("part", "lose", times=10_000)]
    with pytest.raises(BlobStoreUnavailable):
        await keep(bucket, "att_1", b"one")
    assert await all_names(bucket) == set()
    assert "delete" in gcs.seen


async def test_what_was_kept_after_a_cancel_is_taken_back(bucket: GcsBlobStore, gcs: Gcs):
    gcs.faults = [Fault("part", "stall")]
    write = asyncio.create_task(keep(bucket, "att_1", b"one"))
    await asyncio.to_thread(gcs.wait_for, "part")
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    assert gcs.seen.count("part") == 2
    assert await all_names(bucket) == set()


async def test_only_our_own_write_is_taken_back(bucket: GcsBlobStore, gcs: Gcs, emulator_port: int):
    """The write is lost for good, and in its place is what somebody else wrote meanwhile."""
    gcs.faults = [Fault("part", "refuse", times=10_000)]
    write = asyncio.create_task(keep(bucket, "att_1", b"one"))
    await asyncio.to_thread(gcs.wait_for, "part")
    url = f"http://127.0.0.1:{emulator_port}/upload/storage/v1/b/{BUCKET}/o"
    query = {"uploadType": "media", "name": "att_1"}
    httpx2.post(url, params=query, content=b"other").raise_for_status()
    with pytest.raises(BlobStoreUnavailable):
        await write
    assert await whole(bucket.read("att_1")) == b"other"


async def test_a_name_that_is_taken_during_the_upload_is_not_written_over(
    bucket: GcsBlobStore, gcs: Gcs
):
    async def slow():
        yield LONG
        await keep(bucket, "att_1", b"first")
        yield LONG

    with pytest.raises(BlobExists):
        await bucket.write("att_1", slow(), mime_type="text/plain")
    assert await whole(bucket.read("att_1")) == b"first"
    assert gcs.seen.count("part") > 2


@pytest.mark.parametrize(
    ("route", "right"),
    [
        ("initiate", "create"),
        ("part", "create"),
        ("get", "get"),
        ("media", "get"),
        ("delete", "delete"),
        ("list", "list"),
    ],
)
async def test_a_right_that_is_missing_is_named(
    filled: GcsBlobStore, gcs: Gcs, route: str, right: str
):
    gcs.faults = [Fault(route, "refuse", times=10_000, status=403)]
    sentence = f"bucket {BUCKET} refuses us.* the right storage.objects.{right}"
    with pytest.raises(BlobStoreRefused, match=sentence) as caught:
        await CALLS[route](filled)
    assert not caught.value.retryable


async def test_who_is_not_signed_in_is_told_what_to_set(filled: GcsBlobStore, gcs: Gcs):
    gcs.faults = [Fault("get", "refuse", times=10_000, status=401)]
    with pytest.raises(BlobStoreRefused, match=f"bucket {BUCKET}: set GOOGLE_APPLICATION_CRED"):
        await filled.stat("att_1")


@pytest.mark.parametrize("route", CALLS)
async def test_a_missing_bucket_is_no_missing_blob(gcs: Gcs, route: str):
    store = GcsBlobStore(Place("no-such", "project", gcs.url), QUICK)
    with pytest.raises(BlobStoreRefused, match=r"no bucket no-such: check GCS_BUCKET_NAME\."):
        await CALLS[route](store)
    await store.aclose()


async def test_what_is_refused_for_good_is_not_tried_again(filled: GcsBlobStore, gcs: Gcs):
    gcs.seen.clear()
    gcs.faults = [Fault("get", "refuse", times=10_000, status=400)]
    with pytest.raises(BlobStoreRefused, match="ordered by the test"):
        await filled.stat("att_1")
    assert gcs.seen == ["get"]


async def test_type_and_name_of_the_file_are_in_the_address(bucket: GcsBlobStore):
    await bucket.write("att_1", source(b"<script>"), mime_type="text/html")
    url = await bucket.signed_url(
        "att_1", life_s=60, disposition="attachment", file_name="ä\n.txt", mime_type="text/plain"
    )
    async with httpx2.AsyncClient() as client:
        answer = await client.get(url)
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")


async def test_an_emulator_needs_a_key_to_sign(gcs: Gcs, tmp_path: Path):
    (tmp_path / "no_key.json").write_text("{}")
    for key_file, sentence in (
        (None, "set GOOGLE_APPLICATION_CREDENTIALS to the key"),
        (tmp_path / "missing.json", "missing.json is not the key of a service account"),
        (tmp_path / "no_key.json", "no_key.json is not the key of a service account"),
    ):
        store = GcsBlobStore(Place(BUCKET, None, gcs.url, key_file), QUICK)
        with pytest.raises(BlobStoreRefused, match=sentence):
            await store.signed_url(
                "att_1", life_s=60, disposition="inline", file_name="a", mime_type="text/plain"
            )
        await store.aclose()


async def test_without_an_account_the_sentence_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    store = GcsBlobStore(Place(BUCKET), QUICK)
    with pytest.raises(BlobStoreRefused, match="set GOOGLE_APPLICATION_CREDENTIALS"):
        await store.stat("att_1")
    await store.aclose()


async def test_reads_are_not_held_up_by_slow_uploads(filled: GcsBlobStore):
    go = asyncio.Event()

    async def slow():
        yield b"x"
        await go.wait()

    writes = [
        asyncio.create_task(filled.write(f"att_slow_{number}", slow(), mime_type="text/plain"))
        for number in range(12)
    ]
    try:
        assert await whole(filled.read("att_1")) == LONG
    finally:
        go.set()
        await asyncio.wait(writes)
    assert [write.result() for write in writes] == [1] * 12


async def test_a_store_that_closes_gives_up_uploads_that_wait(gcs: Gcs):
    store = GcsBlobStore(Place(BUCKET, None, gcs.url), QUICK)
    is_waiting, go = asyncio.Event(), asyncio.Event()

    async def endless():
        yield b"x"
        is_waiting.set()
        await go.wait()
        yield b"y"

    write = asyncio.create_task(store.write("att_1", endless(), mime_type="text/plain"))
    await is_waiting.wait()
    await store.aclose()
    go.set()
    with pytest.raises(BlobStoreUnavailable, match="given up"):
        await write


async def test_the_bucket_itself_is_never_asked_for(filled: GcsBlobStore, gcs: Gcs):
    """It would need a right of its own; the library does so unless it is told not to."""
    await filled.stat("att_1")
    await all_names(filled)
    with pytest.raises(FlotillaError):
        await keep(filled, "att_1", b"x")
    assert set(gcs.seen) <= set(CALLS)
