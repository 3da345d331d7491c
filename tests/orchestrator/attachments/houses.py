"""A place for blobs and somebody who opens the addresses it signs; and what tests do with it."""

import time
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import httpx2

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.gcs_blobs import Patience
from orchestrator.attachments.signing import ContentSigner
from orchestrator.errors import Forbidden
from tests.fakes import gcs as gcs_fake

OWN_URL = "http://127.0.0.1:8000"
QUICK = Patience(request_s=1, retries_s=3, first_delay_s=0.02)


class Visitor(Protocol):
    """Who has an address and nothing else."""

    async def open(self, url: str, method: str = "GET") -> tuple[int, bytes]:
        """Return status and body."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass, for whoever checks addresses."""
        ...


@dataclass
class House:
    """A store, who opens its addresses, and where its bytes can be seen without it."""

    store: BlobStore
    visitor: Visitor
    folder: Path | None
    gcs: gcs_fake.Gcs | None


class RouteVisitor:
    """Opens addresses of our own route, by the check that the route makes."""

    def __init__(self, key: bytes, store: BlobStore) -> None:
        self._later = 0.0
        self._signer = ContentSigner(key, clock=self._now)
        self._store = store

    def wait(self, seconds: float) -> None:
        self._later += seconds

    async def open(self, url: str, method: str = "GET") -> tuple[int, bytes]:
        parts = urlsplit(url)
        assert url.startswith(f"{OWN_URL}/api/attachments/")
        _, _, _, name, _ = parts.path.split("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        try:
            self._signer.verify(
                method,
                name,
                expires=int(query["expires"]),
                disposition=query["disposition"],
                signature=query["signature"],
            )
        except Forbidden as error:
            return error.status, b""
        return 200, b"".join([chunk async for chunk in self._store.read(name)])

    def _now(self) -> float:
        return time.time() + self._later


class BucketVisitor:
    """Opens addresses of the bucket over HTTP."""

    def __init__(self, gcs: gcs_fake.Gcs) -> None:
        self._gcs = gcs

    def wait(self, seconds: float) -> None:
        self._gcs.later += timedelta(seconds=seconds)

    async def open(self, url: str, method: str = "GET") -> tuple[int, bytes]:
        async with httpx2.AsyncClient() as client:
            answer = await client.request(method, url)
        return answer.status_code, answer.content if answer.is_success else b""


async def source(*chunks: bytes) -> AsyncGenerator[bytes]:
    """Yield `chunks`."""
    for chunk in chunks:
        yield chunk


async def keep(store: BlobStore, name: str, content: bytes) -> int:
    """Write one blob in one chunk."""
    return await store.write(name, source(content), mime_type="text/plain")


async def whole(chunks: AsyncIterable[bytes]) -> bytes:
    """Return all bytes of a blob."""
    return b"".join([chunk async for chunk in chunks])


async def all_names(store: BlobStore) -> set[str]:
    """Return the names of all blobs."""
    return {info.name async for info in store.names()}
