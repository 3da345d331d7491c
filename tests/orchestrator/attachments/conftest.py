"""Both places for blobs, each with somebody who opens the addresses it signs."""

import gc
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx2
import pytest

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.gcs_access import Place
from orchestrator.attachments.gcs_blobs import GcsBlobStore
from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.signing import ContentSigner, OwnAddresses, signing_key
from tests.fakes import gcs as gcs_fake
from tests.fakes.gcs_signatures import Account
from tests.orchestrator.attachments.houses import (
    OWN_URL,
    QUICK,
    BucketVisitor,
    House,
    RouteVisitor,
)


@pytest.fixture(scope="session")
def account() -> Account:
    return Account.new()


@pytest.fixture(scope="session")
def emulator_port() -> Generator[int]:
    with gcs_fake.emulator() as port:
        yield port


@pytest.fixture
def gcs(emulator_port: int, account: Account) -> Generator[gcs_fake.Gcs]:
    """A bucket with nothing in it, that has refused nothing we did not order when the test ends."""
    httpx2.get(f"http://127.0.0.1:{emulator_port}/wipe?keep-buckets=true").raise_for_status()
    with gcs_fake.serving(emulator_port, account) as gcs:
        yield gcs
        assert "none" not in gcs.seen
        assert gcs.complaints == []


@pytest.fixture
async def bucket(
    gcs: gcs_fake.Gcs, account: Account, tmp_path: Path
) -> AsyncGenerator[GcsBlobStore]:
    key_file = account.write(tmp_path / "key.json")
    store = GcsBlobStore(Place(gcs_fake.BUCKET, "project", gcs.url, key_file), QUICK)
    yield store
    gcs.free()
    await store.aclose()
    gc.collect()  # what the client left open belongs to this test, not to the next one


@pytest.fixture
async def local(tmp_path: Path) -> AsyncGenerator[LocalBlobStore]:
    signer = ContentSigner(signing_key(tmp_path))
    store = LocalBlobStore(tmp_path / "attachments", OwnAddresses(signer, OWN_URL))
    yield store
    await store.aclose()


@pytest.fixture(params=["folder", "bucket"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    if request.param == "folder":
        store = request.getfixturevalue("local")
        visitor = RouteVisitor(signing_key(tmp_path), store)
        return House(store, visitor, tmp_path / "attachments", None)
    gcs = request.getfixturevalue("gcs")
    return House(request.getfixturevalue("bucket"), BucketVisitor(gcs), None, gcs)


@pytest.fixture
def store(house: House) -> BlobStore:
    return house.store
