"""What a place for blobs must do, be it a folder or a bucket.

A blob is bytes under a name that the server made. It is written once, whole or not at all, and
never changed; who reads it may ask for a part. Names are those of attachments.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orchestrator.domain.attachments import Disposition
from orchestrator.errors import InvalidRequest

MAX_URL_LIFE_S = 86_400

_NAME = re.compile(r"[a-z0-9_]{3,80}")


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a store knows of a blob without reading it."""

    name: str
    size_bytes: int
    created_at: datetime
    """With zone UTC."""


class BlobStore(Protocol):
    """Keeps blobs. Every method may raise BlobStoreUnavailable or BlobStoreRefused.

    A name that is not 3 to 80 of `a-z0-9_` raises InvalidRequest everywhere.
    """

    async def write(self, name: str, chunks: AsyncIterable[bytes], *, mime_type: str) -> int:
        """Keep all `chunks` under a new name and return their size in bytes.

        Nothing is kept when anything fails, when `chunks` raises, or when the task is cancelled.
        Raises BlobExists when the name is taken, StorageFull.
        """
        ...

    def read(
        self, name: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` up to, not including, `end`; what lies beyond is left out.

        Close the generator (`contextlib.aclosing`) when you stop early. Raises BlobNotFound before
        the first chunk, and BlobStoreUnavailable rather than ending short.
        """
        ...

    async def delete(self, name: str) -> None:
        """Take the blob away; one that is not there is no error."""
        ...

    async def stat(self, name: str) -> BlobInfo | None:
        """Return what is known of a blob, or None when there is none."""
        ...

    def names(self) -> AsyncIterator[BlobInfo]:
        """Yield every blob, in no order; what has a name that is not a blob's is not ours."""
        ...

    async def signed_url(
        self,
        name: str,
        *,
        life_s: int,
        disposition: Disposition,
        file_name: str,
        mime_type: str,
    ) -> str:
        """Return an address that gives the blob to anybody for `life_s` seconds, a day at most.

        Whether the blob is there is not looked up. Where nobody signs addresses of the place
        itself, it is one of our own route.
        """
        ...

    async def public_url(self, name: str, *, life_s: int, mime_type: str) -> str | None:
        """Return an address as `signed_url` that everybody can reach, such as a model's provider.

        None when there is none; then send the bytes.
        """
        ...

    async def unsigned_because(self) -> str | None:
        """Return why nobody signs addresses of the place itself, in a sentence, or None."""
        ...

    async def aclose(self) -> None:
        """Let go of threads and connections."""
        ...


def is_name(name: str) -> bool:
    """Tell whether a blob may be called that."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """Return `name` when a blob may have it. Raises InvalidRequest."""
    if not is_name(name):
        raise InvalidRequest("A blob's name is 3 to 80 of a-z, 0-9 and _.")
    return name


def checked_range(start: int, end: int | None) -> None:
    """Raise InvalidRequest when no bytes can lie from `start` to `end`."""
    if start < 0 or (end is not None and end < start):
        raise InvalidRequest("A range begins at 0 or later and does not end before its start.")


def checked_life(life_s: int) -> int:
    """Return `life_s` when an address may live that long. Raises InvalidRequest."""
    if not 1 <= life_s <= MAX_URL_LIFE_S:
        raise InvalidRequest("An address of a file is good for 1 second to 1 day.")
    return life_s
