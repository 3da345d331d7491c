"""What only a folder can do wrong: modes, crashes, full disks, links."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.signing import ContentSigner, OwnAddresses
from orchestrator.errors import (
    BlobNotFound,
    BlobStoreRefused,
    BlobStoreUnavailable,
)
from tests.orchestrator.attachments.houses import OWN_URL, all_names, keep, source, whole
from tests.processes import ROOT, started

MEGABYTE = 1_000_000


@pytest.fixture
def folder(local: LocalBlobStore, tmp_path: Path) -> Path:
    return tmp_path / "attachments"


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def other_store(folder: Path) -> LocalBlobStore:
    return LocalBlobStore(folder, OwnAddresses(ContentSigner(b"k" * 43), OWN_URL))


async def test_blobs_and_folders_are_private(local: LocalBlobStore, folder: Path):
    before = os.umask(0)
    try:
        await keep(local, "att_1a", b"one")
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }
    assert modes == {".": 0o700, ".incoming": 0o700, "1a": 0o700, "1a/att_1a": 0o600}


async def test_a_draft_of_a_living_process_is_left_alone(local: LocalBlobStore, folder: Path):
    is_waiting, go = asyncio.Event(), asyncio.Event()

    async def slow():
        yield b"one"
        is_waiting.set()
        await go.wait()

    write = asyncio.create_task(local.write("att_1", slow(), mime_type="text/plain"))
    await is_waiting.wait()
    await other_store(folder).aclose()
    go.set()
    assert await write == 3
    assert await whole(local.read("att_1")) == b"one"


async def test_what_a_killed_process_left_is_swept(folder: Path, local: LocalBlobStore):
    command = (sys.executable, "-m", "tests.orchestrator.attachments.write_for_ever", str(folder))
    with started(*command, ready="writing") as (program, _):
        program.signal(signal.SIGKILL)
        program.process.wait(10)
    assert len(files_in(folder)) == 1
    store = other_store(folder)
    assert files_in(folder) == []
    assert await all_names(store) == set()
    await store.aclose()


@pytest.mark.parametrize("chunks", [1, 64])
def test_a_full_disk_keeps_nothing_and_says_so(tmp_path: Path, chunks: int):
    """A limit on the size of files stands in for the disk: the same call fails half-way."""
    script = f"""
import asyncio, resource, sys
from pathlib import Path
from orchestrator.errors import StorageFull
from tests.orchestrator.attachments.houses import keep, source, whole
from tests.orchestrator.attachments.test_local_blobs import other_store

async def main():
    store = other_store(Path(sys.argv[1]))
    await keep(store, "att_0", b"kept")
    resource.setrlimit(resource.RLIMIT_FSIZE, ({MEGABYTE}, {MEGABYTE}))
    pieces = [b"x" * (2 * {MEGABYTE} // {chunks})] * {chunks}
    try:
        await store.write("att_1", source(*pieces), mime_type="text/plain")
    except StorageFull as error:
        print(error)
    assert await store.stat("att_1") is None
    assert await whole(store.read("att_0")) == b"kept"
    await keep(store, "att_1", b"small")
    await store.aclose()

asyncio.run(main())
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "The disk is full: the file was not stored.\n"
    assert files_in(tmp_path / "a") == ["_0/att_0", "_1/att_1"]


async def test_a_link_is_no_blob(local: LocalBlobStore, folder: Path, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "_1").mkdir()
    (folder / "_1" / "att_1").symlink_to(secret)
    with pytest.raises(BlobStoreRefused, match=str(folder)):
        await whole(local.read("att_1"))
    assert await local.stat("att_1") is None
    assert await all_names(local) == set()


async def test_a_folder_is_no_blob(local: LocalBlobStore, folder: Path):
    (folder / "_1" / "att_1").mkdir(parents=True)
    assert await local.stat("att_1") is None
    with pytest.raises((BlobNotFound, BlobStoreUnavailable)):
        await whole(local.read("att_1"))


async def test_a_blob_that_was_cut_short_does_not_pass_for_whole(
    local: LocalBlobStore, folder: Path
):
    await keep(local, "att_1", b"x" * MEGABYTE)
    chunks = local.read("att_1")
    await anext(chunks)
    os.truncate(folder / "_1" / "att_1", 300_000)
    with pytest.raises(BlobStoreUnavailable, match="ended before its last byte"):
        await whole(chunks)


async def test_a_blob_that_is_deleted_while_it_is_read_is_read_to_its_end(local: LocalBlobStore):
    content = os.urandom(MEGABYTE)
    await keep(local, "att_1", content)
    chunks = local.read("att_1")
    first = await anext(chunks)
    await local.delete("att_1")
    assert first + await whole(chunks) == content


async def test_no_file_stays_open(local: LocalBlobStore):
    await keep(local, "att_1", b"x" * MEGABYTE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        chunks = local.read("att_1")
        await anext(chunks)
        await chunks.aclose()
        with pytest.raises(BlobNotFound):
            await anext(local.read(f"att_none_{number}"))
        write = asyncio.create_task(keep(local, f"att_{number}", b"x" * MEGABYTE))
        await asyncio.sleep(0)
        write.cancel()
        await asyncio.wait([write])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_place_that_is_no_folder_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BlobStoreRefused, match=str(tmp_path / "file" / "blobs")):
        other_store(tmp_path / "file" / "blobs")


async def test_the_loop_goes_on_while_a_disk_is_slow(local: LocalBlobStore, folder: Path):
    """A FIFO in place of a blob: opening it waits until somebody writes, as a dead disk would."""
    (folder / "_1").mkdir()
    os.mkfifo(folder / "_1" / "att_1")
    reading = asyncio.create_task(whole(local.read("att_1")))
    await keep(local, "att_2", b"two")
    assert await whole(local.read("att_2")) == b"two"
    assert not reading.done()
    writer = await asyncio.to_thread(os.open, folder / "_1" / "att_1", os.O_WRONLY)
    os.close(writer)
    assert await reading == b""


async def test_the_address_is_of_our_own_route(local: LocalBlobStore):
    url = await local.signed_url(
        "att_1", life_s=60, disposition="inline", file_name="a.txt", mime_type="text/plain"
    )
    assert url.startswith(f"{OWN_URL}/api/attachments/att_1/content?expires=")
    assert await local.write("att_1", source(b"1"), mime_type="text/plain") == 1
