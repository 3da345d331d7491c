"""A process that writes and reads one large blob and says by how much it grew."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.gcs_access import Place
from orchestrator.attachments.gcs_blobs import GcsBlobStore
from tests.fakes.gcs import BUCKET
from tests.orchestrator.attachments.houses import keep, whole
from tests.orchestrator.attachments.test_local_blobs import other_store

SIZE = 100 * 1024 * 1024
CHUNK = 64 * 1024


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def chunks() -> AsyncGenerator[bytes]:
    for number in range(SIZE // CHUNK):
        yield bytes([number % 256]) * CHUNK


async def main(store: BlobStore) -> None:
    # The first call makes connections and threads, which stay.
    await keep(store, "att_0", b"x" * CHUNK)
    await whole(store.read("att_0"))
    before = peak_kb()
    await store.write("att_1", chunks(), mime_type="text/plain")
    written = peak_kb()
    size = 0
    async for chunk in store.read("att_1"):
        size += len(chunk)
    assert size == SIZE
    print(json.dumps({"written": written - before, "read": peak_kb() - written}))
    await store.aclose()


where = sys.argv[1]
asyncio.run(
    main(
        GcsBlobStore(Place(BUCKET, "project", where))
        if where.startswith("http")
        else other_store(Path(where))
    )
)
