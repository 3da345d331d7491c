"""A bucket from a machine of Google's, which has an account but no key: Google signs addresses."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.fakes.gcs import BUCKET, Asked, Gcs
from tests.fakes.google_machine import STORAGE, GoogleMachine, google_machine
from tests.installation import Installation, running
from tests.processes import ROOT

CONTENT = b"%PDF-" + bytes(700_000)
REPORT = [("file", ("report.pdf", CONTENT))]


@pytest.fixture
def machine(gcs: Gcs, tmp_path: Path) -> Iterator[GoogleMachine]:
    with google_machine(gcs, tmp_path) as machine:
        yield machine


@pytest.fixture
def installation(machine: GoogleMachine, tmp_path: Path) -> Iterator[Installation]:
    more = {**machine.settings, "GCS_BUCKET_NAME": BUCKET}
    with running(Installation(tmp_path, "http://127.0.0.1:9", more=more)) as installation:
        yield installation


def test_google_signs_where_we_have_no_key(
    installation: Installation, machine: GoogleMachine
) -> None:
    url = urlsplit(uploaded(installation)["delivery_url"])
    assert (url.scheme, url.netloc) == ("https", STORAGE)
    target = f"{url.path}?{url.query}"
    answer = machine.gcs.answer(Asked("GET", target, {"host": STORAGE}, b""))
    assert answer is not None
    assert (answer.status, answer.body) == (200, CONTENT)
    assert "delivered by Flotilla itself" not in verified(installation)


def test_google_signs_some_addresses_at_a_time_and_never_more_than_eight(
    installation: Installation, machine: GoogleMachine
) -> None:
    for _ in range(2):
        files = [("file", (f"{number}.txt", b"text")) for number in range(20)]
        uploaded(installation, files)
    machine.meets = threading.Barrier(8, timeout=20)
    answer = httpx2.get(
        f"{installation.url}/api/attachments",
        headers=installation.bearer,
        trust_env=False,
        timeout=30,
    )
    items = answer.raise_for_status().json()["items"]
    assert len({item["delivery_url"] for item in items}) == 40
    assert all(STORAGE in item["delivery_url"] for item in items)
    assert machine.signing_most == 8


def test_files_come_through_our_own_door_where_nobody_may_sign(
    installation: Installation, machine: GoogleMachine
) -> None:
    machine.may_sign = False
    item = uploaded(installation)
    for _ in range(3):
        item = read(installation, item["id"])
        assert item["delivery_url"].startswith(f"{installation.url}/api/attachments/")
        answer = httpx2.get(item["delivery_url"], trust_env=False)
        assert (answer.status_code, answer.content) == (200, CONTENT)
    assert machine.signatures_asked == 1
    logs = "".join(path.read_text() for path in (installation.folder / "logs/app").glob("*/*"))
    assert logs.count("bucket_addresses_not_signed") == 1
    said = verified(installation)
    assert "Files are delivered by Flotilla itself, not by the bucket." in said
    assert "iam.serviceAccounts.signBlob" in said


def uploaded(
    installation: Installation, files: Sequence[tuple[str, tuple[str, bytes]]] = REPORT
) -> dict[str, Any]:
    """Return the first of them."""
    answer = httpx2.post(
        f"{installation.url}/api/uploads",
        files=files,
        headers=installation.bearer,
        trust_env=False,
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["items"][0]


def read(installation: Installation, attachment_id: str) -> dict[str, Any]:
    url = f"{installation.url}/api/attachments/{attachment_id}"
    return httpx2.get(url, headers=installation.bearer, trust_env=False).raise_for_status().json()


def verified(installation: Installation) -> str:
    """Return what `flotilla attachments verify` says, to which all is well."""
    data = {"FLOTILLA_DATA_DIR": str(installation.data_dir)}
    run = subprocess.run(
        (sys.executable, "-m", "orchestrator", "attachments", "verify"),
        cwd=ROOT,
        env={**os.environ, **installation.more, **data},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
