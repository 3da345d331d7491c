"""Uploads on a disk that is really full: refused in a sentence, without a trace, and no more."""

import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.faults.test_gate_disk import OWN_MOUNTS, fill
from tests.faults.upload_stores import Folder
from tests.installation import Installation, running

DISK = 'mount -t tmpfs -o size=12m tmpfs "$1" && shift && exec "$@"'
LARGER_THAN_DISK = b"%PDF-".ljust(20_000_000, b"x")
SMALL = b"%PDF-".ljust(300_000, b"y")
CLEARED_LIMIT_S = 40.0
"""The reaper tries a database that refused it again after 30 s."""

pytestmark = pytest.mark.fault


class MountedInstallation(Installation):
    """An orchestrator whose data folder is a disk of its own, seen by nobody else."""

    @property
    def data_dir(self) -> Path:
        outside = super().data_dir
        return outside if self.program is None else Path(f"/proc/{self.program.pid}/root{outside}")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    # A system that lets nobody mount cannot run this: the test fails there and says why.
    subprocess.run([*OWN_MOUNTS, "true"], check=True)
    wrapper = (*OWN_MOUNTS, "sh", "-c", DISK, "sh", str(tmp_path / "data"))
    with running(MountedInstallation(tmp_path, "http://127.0.0.1:9", wrapper=wrapper)) as mounted:
        yield mounted


@pytest.fixture
def http(installation: Installation) -> Iterator[httpx2.Client]:
    settings = {"base_url": installation.url, "headers": installation.bearer}
    with httpx2.Client(**settings, timeout=30, trust_env=False) as client:
        yield client


def test_an_upload_that_fills_the_disk_is_refused_and_leaves_nothing(
    installation: Installation, http: httpx2.Client
) -> None:
    kept = uploads(http, SMALL)
    refuses(http, LARGER_THAN_DISK)
    assert contents(installation) == {kept}
    reads(http, kept, SMALL)
    again = uploads(http, SMALL)
    assert contents(installation) == {kept, again}


def test_a_full_disk_can_be_read_and_takes_files_again_when_there_is_room(
    installation: Installation, http: httpx2.Client
) -> None:
    kept = uploads(http, SMALL)
    filler = installation.data_dir / "filler"
    fill(filler)
    refuses(http, SMALL)
    reads(http, kept, SMALL)
    filler.unlink()
    again = uploads(http, SMALL)
    reads(http, again, SMALL)
    assert contents(installation) == {kept, again}


def post(http: httpx2.Client, body: bytes) -> httpx2.Response:
    return http.post("/api/uploads", files={"file": ("report.pdf", body)})


def uploads(http: httpx2.Client, body: bytes) -> str:
    """Upload a file; return its id."""
    answer = post(http, body)
    assert answer.status_code == 201, answer.text
    return answer.json()["items"][0]["id"]


def refuses(http: httpx2.Client, body: bytes) -> None:
    answer = post(http, body)
    assert answer.status_code == 507, answer.text
    problem = answer.json()
    assert problem["code"] == "storage_full"
    assert problem["detail"].startswith("The disk is full: ")


def reads(http: httpx2.Client, attachment_id: str, content: bytes) -> None:
    answer = http.get(f"/api/attachments/{attachment_id}/content")
    assert answer.status_code == 200
    assert answer.content == content
    listed = http.get("/api/attachments").json()["items"]
    assert attachment_id in [item["id"] for item in listed]


def contents(installation: Installation) -> set[str]:
    """Wait until the rows are those of whole files, and return what is stored."""
    folder = Folder(installation.data_dir)
    deadline = time.monotonic() + CLEARED_LIMIT_S
    while set((rows := states(installation)).values()) - {"ready"} and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(rows.values()) <= {"ready"}
    assert folder.drafts() == 0
    assert folder.names() == rows.keys()
    return folder.names()


def states(installation: Installation) -> dict[str, str]:
    # SQLite follows /proc/PID/root out of the mount, so it reads a copy.
    with tempfile.TemporaryDirectory() as folder:
        for name in ("chat_sessions.db", "chat_sessions.db-wal"):
            shutil.copy(installation.data_dir / name, folder)
        with closing(sqlite3.connect(Path(folder, "chat_sessions.db"))) as copy:
            return dict(copy.execute("SELECT id, state FROM attachments"))
