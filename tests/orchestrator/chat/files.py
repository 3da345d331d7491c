"""The service of attachments over a real folder, for tests of the chat."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.reaper import Reaper
from orchestrator.attachments.signing import ContentSigner, OwnAddresses, signing_key
from orchestrator.attachments.uploads import Attachments
from orchestrator.background import running
from orchestrator.store.database import Database

OWN_URL = "https://flotilla.example"
MAX_BYTES = 8 * 1024 * 1024


async def chunks_of(content: bytes, size: int = 100_000) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@asynccontextmanager
async def opened_files(
    folder: Path, database: Database, store: type[LocalBlobStore] = LocalBlobStore
) -> AsyncGenerator[Attachments]:
    """The same folder again is a restart."""
    signer = ContentSigner(signing_key(folder))
    blobs = store(folder / "attachments", OwnAddresses(signer, OWN_URL))
    reaper = Reaper(database, blobs, retention_days=30)
    async with running(reaper.reap()):
        yield Attachments(
            database, blobs, signer, reaper, max_size_bytes=MAX_BYTES, url_life_s=3600
        )
    await blobs.aclose()
