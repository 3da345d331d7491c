"""Where the files of an upload loop are kept, seen past the orchestrator: a folder, or a bucket."""

import hashlib
import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import httpx2

from orchestrator.app import BUCKET_SETTLES_S
from tests.fakes import gcs as gcs_fake
from tests.fakes.gcs_signatures import Account

STORES = ("folder", "bucket")
TWO_HOURS_S = 7_200
"""More than the age below which `verify` takes a blob without a row for one that is coming in."""


class Store(Protocol):
    """What an installation is told of it, and what is in it."""

    settings: Mapping[str, str]
    settle_limit_s: float
    """Within this time the reaper has cleared what a kill left."""
    max_life_s: float
    """A process that lives so long has taken in a few files."""

    def names(self) -> set[str]:
        """Return the names of all blobs."""
        ...

    def hashes(self) -> dict[str, str]:
        """Return the hash of each blob by its name."""
        ...

    def drafts(self) -> int:
        """Return how many files are half-written."""
        ...

    def age(self) -> None:
        """Make the blobs look so old that `verify` overlooks none."""
        ...


class Folder:
    """The folder in an installation's data folder."""

    settings: Mapping[str, str] = {}
    settle_limit_s = 20.0
    max_life_s = 0.4

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "attachments"

    def names(self) -> set[str]:
        return {path.name for path in self._blobs()}

    def hashes(self) -> dict[str, str]:
        return {path.name: sha256(path.read_bytes()) for path in self._blobs()}

    def drafts(self) -> int:
        return len(list((self._folder / ".incoming").iterdir()))

    def age(self) -> None:
        then = time.time() - TWO_HOURS_S
        for path in self._blobs():
            os.utime(path, (then, then))

    def _blobs(self) -> list[Path]:
        return list(self._folder.glob("[!.]*/*"))


class Bucket:
    """A bucket behind the fake of Cloud Storage; asked at the emulator itself."""

    settle_limit_s = BUCKET_SETTLES_S + 40.0
    max_life_s = 2.0

    def __init__(self, gcs: gcs_fake.Gcs, emulator_port: int, key_file: Path) -> None:
        self._gcs = gcs
        self._url = f"http://127.0.0.1:{emulator_port}"
        self.settings: Mapping[str, str] = {
            "GCS_BUCKET_NAME": gcs_fake.BUCKET,
            "GCP_PROJECT_ID": "flotilla-tests",
            "STORAGE_EMULATOR_HOST": gcs.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
        }

    def names(self) -> set[str]:
        listed = self._ask(f"{gcs_fake.JSON}{gcs_fake.BUCKET}/o?maxResults=100000").json()
        assert "nextPageToken" not in listed
        return {item["name"] for item in listed.get("items", ())}

    def hashes(self) -> dict[str, str]:
        path = f"/download{gcs_fake.JSON}{gcs_fake.BUCKET}/o"
        return {
            name: sha256(self._ask(f"{path}/{quote(name)}?alt=media").content)
            for name in self.names()
        }

    def drafts(self) -> int:
        """None: a bucket shows no object before its last byte, and forgets the parts itself."""
        return 0

    def age(self) -> None:
        self._gcs.created_earlier_s = TWO_HOURS_S

    def _ask(self, path: str) -> httpx2.Response:
        return httpx2.get(self._url + path, timeout=60, trust_env=False).raise_for_status()


@contextmanager
def store_for(kind: str, folder: Path) -> Generator[Store]:
    """Give the place that an installation in `folder` keeps its files in; runs a bucket."""
    if kind == "folder":
        yield Folder(folder / "data")
        return
    account = Account.new()
    with gcs_fake.emulator() as port, gcs_fake.serving(port, account) as gcs:
        yield Bucket(gcs, port, account.write(folder / "key.json"))
        assert gcs.complaints == []


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
