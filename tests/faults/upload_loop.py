"""Kills the orchestrator while files come in, and measures what many files at once take.

    python -m tests.faults.upload_loop --kills 50 --store bucket

Clients upload files of all sizes all the while. In the end every file whose upload was answered is
there byte for byte, and of those that were not nothing is left but whole files.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import text

from orchestrator.store.database import opened_read_only
from tests.faults.upload_stores import STORES, Store, sha256, store_for
from tests.installation import Installation, practice_model, running
from tests.processes import ROOT

CLIENTS = 4
RETRY_S = 0.05
SIZES = (100, 20_000, 300_000, 3_000_000)

AT_ONCE = 20
LARGE_BYTES = 5_000_000
MAX_GROWTH_BYTES = 64 * 1024 * 1024


@dataclass
class Report:
    """What the loop saw: first what the kills cut off, then what must not be."""

    kills: int = 0
    answered: int = 0
    cut: int = 0
    drafts_after_kills: int = 0
    rows_after_kills: int = 0
    """Of files that were coming in."""
    blobs_after_kills: int = 0
    """Of such rows: killed between the blob and the end of its row."""
    kept_unanswered: int = 0
    """Whole files whose clients did not hear of it."""

    lost: int = 0
    strange: int = 0
    """Files that nobody sent, or sent otherwise, or that are there twice."""
    orphan_rows: int = 0
    orphan_blobs: int = 0
    drafts: int = 0
    verify: str = ""
    """What `flotilla attachments verify` complained of."""

    @property
    def is_clean(self) -> bool:
        bad = (self.lost, self.strange, self.orphan_rows, self.orphan_blobs, self.drafts)
        return not any((*bad, self.verify))


@dataclass
class Uploads:
    """What the clients sent, and what was answered 201; hashes tell the files apart."""

    chance: random.Random
    sent: set[str] = field(default_factory=set[str])
    answered: dict[str, str] = field(default_factory=dict[str, str])
    """Hashes by the ids of attachments."""
    cut: int = 0

    def new_file(self) -> bytes:
        size = self.chance.randint(1, self.chance.choice(SIZES))
        return b"%PDF-" + self.chance.randbytes(16 + size)

    async def run(self, http: httpx2.AsyncClient, stop: asyncio.Event) -> None:
        """Upload one file after the other."""
        while not stop.is_set():
            body = self.new_file()
            self.sent.add(sha256(body))
            try:
                item = await _upload_when_up(http, body)
            except httpx2.TransportError:
                self.cut += 1
            else:
                self.answered[item["id"]] = sha256(body)


async def upload(http: httpx2.AsyncClient, body: bytes) -> dict[str, Any]:
    """Upload one file; return its attachment."""
    answer = await http.post("/api/uploads", files={"file": ("report.pdf", body)})
    assert answer.status_code == 201, (answer.status_code, answer.text)
    (item,) = answer.json()["items"]
    return item


async def _upload_when_up(http: httpx2.AsyncClient, body: bytes) -> dict[str, Any]:
    while True:
        with suppress(httpx2.ConnectError):
            return await upload(http, body)
        await asyncio.sleep(RETRY_S)


def client_of(installation: Installation) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=installation.url,
        headers=installation.bearer,
        timeout=60,
        trust_env=False,
        verify=False,
    )


async def kill_loop(folder: Path, kills: int, seed: int, kind: str = "folder") -> Report:
    """Run the clients through `kills` kills and return what was found."""
    report = Report()
    uploads = Uploads(random.Random(seed))
    chance = random.Random(seed + 1)
    with ExitStack() as stack:
        store = stack.enter_context(store_for(kind, folder))
        model_url = stack.enter_context(practice_model())
        installation = Installation(folder, model_url, more=store.settings)
        stack.enter_context(running(installation))
        stop = asyncio.Event()
        async with client_of(installation) as http:
            async with asyncio.TaskGroup() as group:
                for _ in range(CLIENTS):
                    group.create_task(uploads.run(http, stop))
                for _ in range(kills):
                    await asyncio.sleep(chance.uniform(0, store.max_life_s))
                    await asyncio.to_thread(installation.kill)
                    report.kills += 1
                    await asyncio.to_thread(_note_what_was_left, report, installation, store)
                    await asyncio.to_thread(installation.start)
                stop.set()
            await _settled(installation, store.settle_limit_s)
            for attachment_id, wanted in uploads.answered.items():
                report.lost += await _hash_of(http, attachment_id) != wanted
        installation.stop()
        report.answered, report.cut = len(uploads.answered), uploads.cut
        await asyncio.to_thread(_judge, report, installation, store, uploads)
        store.age()
        report.verify = await _verify(installation)
    return report


async def _hash_of(http: httpx2.AsyncClient, attachment_id: str) -> str | None:
    answer = await http.get(f"/api/attachments/{attachment_id}/content")
    return sha256(answer.content) if answer.status_code == 200 else None


def _note_what_was_left(report: Report, installation: Installation, store: Store) -> None:
    coming = _rows(installation, "state = 'incoming'")
    report.drafts_after_kills += store.drafts()
    report.rows_after_kills += len(coming)
    report.blobs_after_kills += len(coming.keys() & store.names())


async def _settled(installation: Installation, limit_s: float) -> None:
    """Wait until the reaper has done its work; what it leaves is judged."""
    deadline = time.monotonic() + limit_s
    while True:
        if not _rows(installation, "state != 'ready'") or time.monotonic() > deadline:
            return
        await asyncio.sleep(RETRY_S)


def _judge(report: Report, installation: Installation, store: Store, uploads: Uploads) -> None:
    """Compare what the stopped orchestrator keeps with its rows, and both with what was sent."""
    rows, ready = _rows(installation), _rows(installation, "state = 'ready'")
    blobs = store.hashes()
    report.drafts = store.drafts()
    report.orphan_blobs = len(blobs.keys() - rows.keys())
    report.orphan_rows = len(rows.keys() - blobs.keys()) + len(rows.keys() - ready.keys())
    report.lost += len(uploads.answered.items() - ready.items())
    report.kept_unanswered = len(ready.keys() - uploads.answered.keys())
    report.strange += sum(blobs.get(name) != wanted for name, wanted in ready.items())
    report.strange += len(set(blobs.values()) - uploads.sent)
    report.strange += sum(count - 1 for count in Counter(blobs.values()).values())


def _rows(installation: Installation, condition: str = "true") -> dict[str, str]:
    """Return hashes by ids."""
    with opened_read_only(installation.data_dir / "chat_sessions.db") as conn:
        found = conn.execute(text(f"SELECT id, sha256 FROM attachments WHERE {condition}"))
        return {row.id: row.sha256 for row in found}


async def _verify(installation: Installation) -> str:
    """Ask the program itself; return its complaints."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "attachments", "verify"),
        cwd=ROOT,
        env={
            **os.environ,
            **installation.more,
            "FLOTILLA_DATA_DIR": str(installation.data_dir),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await program.communicate()
    return output.decode() if program.returncode else ""


async def growth(folder: Path, uploads: int, kind: str = "folder") -> int:
    """Upload large files, AT_ONCE at a time; return by how many bytes the orchestrator grew.

    That is its peak above what it took when nothing had been uploaded yet.
    """
    with ExitStack() as stack:
        store = stack.enter_context(store_for(kind, folder))
        model_url = stack.enter_context(practice_model())
        installation = Installation(folder, model_url, more=store.settings)
        stack.enter_context(running(installation))
        before = installation.resident_bytes()
        body = b"%PDF-".ljust(LARGE_BYTES, b"x")
        left = iter(range(uploads))

        async def upload_some() -> None:
            for _ in left:
                item = await upload(http, body)
                assert item["size_bytes"] == LARGE_BYTES

        async with client_of(installation) as http, asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(upload_some())
        assert len(_rows(installation, "state = 'ready'")) == uploads
        return _peak_bytes(installation) - before


def _peak_bytes(installation: Installation) -> int:
    assert installation.program is not None
    lines = Path(f"/proc/{installation.program.pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmHWM"].removesuffix("kB")) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill the orchestrator while files come in.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--uploads", type=int, default=200, help="large ones, for the memory")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--store", choices=STORES, default="folder", help="where files are kept")
    arguments = parser.parse_args()
    kind = arguments.store
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(kill_loop(Path(folder), arguments.kills, arguments.seed, kind))
    print(f"{kind}, seed {arguments.seed}: {report}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        grown = asyncio.run(growth(Path(folder), arguments.uploads, kind))
    print(
        f"{arguments.uploads} uploads of {LARGE_BYTES:,} bytes, {AT_ONCE} at a time: "
        f"the orchestrator grew by {grown / 2**20:.1f} MiB"
    )
    sys.exit(not (report.is_clean and grown < MAX_GROWTH_BYTES))


if __name__ == "__main__":
    main()
