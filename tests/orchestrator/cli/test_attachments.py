"""`flotilla attachments verify` tells what does not fit, and disturbs nothing."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.signing import ContentSigner, OwnAddresses
from tests.orchestrator.attachments.desk import Desk, opened, png
from tests.orchestrator.cli.conftest import Terminal


class Files:
    """What is in the data folder of a terminal while nothing of ours runs."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        data_dir.mkdir()

    def save(self, count: int, *states: str) -> list[str]:
        """Keep that many files; the first get these states."""
        return asyncio.run(self._save(count, states))

    def blob(self, attachment_id: str) -> Path:
        return self.data_dir / "attachments" / attachment_id[-2:] / attachment_id

    def orphan(self, attachment_id: str, *, hours: float) -> Path:
        blob = self.blob(attachment_id)
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(b"x")
        then = time.time() - hours * 3_600
        os.utime(blob, (then, then))
        return blob

    async def _save(self, count: int, states: tuple[str, ...]) -> list[str]:
        signer = ContentSigner(b"k" * 32)
        store = LocalBlobStore(
            self.data_dir / "attachments", OwnAddresses(signer, "http://127.0.0.1:8000")
        )
        async with opened(self.data_dir, store) as desk:
            saved = [(await desk.save(png(100))).id for _ in range(count)]
            await self._set(desk, saved, states)
        await store.aclose()
        return saved

    async def _set(self, desk: Desk, saved: list[str], states: tuple[str, ...]) -> None:
        for attachment_id, state in zip(saved, states, strict=False):
            await desk.change(attachment_id, state=state, retry_at="9999-01-01T00:00:00.000Z")


@pytest.fixture
def files(terminal: Terminal) -> Files:
    return Files(terminal.folder / "data")


def test_files_and_rows_that_fit_are_counted(terminal: Terminal, files: Files) -> None:
    files.save(3, "deleting")
    done = terminal.run("attachments", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 files, 200 bytes.\n1 more are coming in or being deleted.\n"


def test_what_does_not_fit_is_named(terminal: Terminal, files: Files) -> None:
    whole, lost, cut = files.save(3)
    files.blob(lost).unlink()
    files.blob(cut).write_bytes(b"short")
    orphan = files.orphan("att_of_nobody_01", hours=2)
    young = files.orphan("att_of_nobody_02", hours=0.5)
    done = terminal.run("attachments", "verify")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "3 files, 300 bytes.",
        f"{lost}: its bytes are gone.",
        f"{cut}: its bytes are of another length.",
        "att_of_nobody_01: stored, but of no file: delete it with --delete-orphans.",
    ]
    assert whole not in done.stdout
    assert orphan.exists()
    assert young.exists()


def test_orphans_are_deleted_when_asked(terminal: Terminal, files: Files) -> None:
    (kept,) = files.save(1)
    orphan = files.orphan("att_of_nobody_01", hours=2)
    young = files.orphan("att_of_nobody_02", hours=0.5)
    done = terminal.run("attachments", "verify", "--delete-orphans")
    assert (done.returncode, orphan.exists(), young.exists()) == (0, False, True)
    assert "att_of_nobody_01: stored, but of no file: deleted." in done.stdout
    assert files.blob(kept).read_bytes() == png(100)
    assert terminal.run("attachments", "verify").returncode == 0


def test_without_a_database_there_is_nothing_to_verify(terminal: Terminal) -> None:
    done = terminal.run("attachments", "verify")
    assert done.returncode == 1
    assert "There is no" in done.stderr
    assert "Traceback" not in done.stderr
