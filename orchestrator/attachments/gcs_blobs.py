"""Blobs in a bucket of Google Cloud Storage.

Google's library takes much memory, so this module is imported only where a bucket is set. The
library blocks: every call of it is made in a thread, with its own retries and a deadline.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

from google.cloud.storage.retry import (  # pyright: ignore[reportMissingTypeStubs]
    DEFAULT_RETRY,
)

from orchestrator.attachments.blobs import (
    BlobInfo,
    checked_life,
    checked_name,
    checked_range,
    is_name,
)
from orchestrator.attachments.gcs_access import Access, Place
from orchestrator.attachments.gcs_errors import explained
from orchestrator.attachments.gcs_pipe import Abandoned, Pipe
from orchestrator.attachments.gcs_signing import SigningRecord
from orchestrator.attachments.names import content_disposition
from orchestrator.attachments.signing import OwnAddresses
from orchestrator.attachments.threads import Threads, end_of
from orchestrator.domain.attachments import Disposition
from orchestrator.errors import (
    BlobExists,
    BlobNotFound,
    BlobStoreRefused,
    BlobStoreUnavailable,
    FlotillaError,
)

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

PART_BYTES = 1024 * 1024
"""What one request brings."""
SENT_PART_BYTES = 256 * 1024
"""What one request of an upload carries, the least that a bucket takes. With 1 MiB, 20 uploads at
a time made the process grow by 109 MiB instead of 47 (2026-11-20)."""
PAGE = 1000
_THREADS = 8
_UPLOADS = 32
_MARK = "flotilla-write"
_FIELDS = "items(name,size,timeCreated),nextPageToken"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a bucket is waited for, in seconds."""

    request_s: float = 20
    """Until the next byte of one answer."""
    retries_s: float = 60
    """From the first try of one request until no other is begun."""
    first_delay_s: float = 0.25


class GcsBlobStore:
    """Keeps blobs in a private bucket; see `BlobStore`. The bucket must exist."""

    def __init__(
        self, place: Place, patience: Patience | None = None, own: OwnAddresses | None = None
    ) -> None:
        """`own` gives addresses where nobody signs those of the bucket; else that is an error."""
        patience = patience or Patience()
        self._bucket_name = place.bucket
        self._is_public = place.emulator is None
        self._own = own
        self._record = SigningRecord()
        self._access = Access(place)
        self._threads = Threads(_THREADS)
        # Apart, because an upload has its thread for as long as its source takes.
        self._uploads = Threads(_UPLOADS)
        self._pipes: set[Pipe] = set()
        retry = _with(DEFAULT_RETRY, timeout=patience.retries_s, delay=patience.first_delay_s)
        self._waiting: dict[str, Any] = {"timeout": patience.request_s, "retry": retry}

    async def write(self, name: str, chunks: AsyncIterable[bytes], *, mime_type: str) -> int:
        """See `BlobStore`."""
        checked_name(name)
        pipe = Pipe()
        self._pipes.add(pipe)
        mark = secrets.token_hex(16)
        upload = asyncio.create_task(self._uploads.run(self._upload, name, pipe, mime_type, mark))
        upload.add_done_callback(lambda _: pipe.make_room())
        try:
            async for chunk in chunks:
                await pipe.put(chunk)
                if upload.done():
                    break
            pipe.end()
            await asyncio.shield(upload)
        except BaseException as error:
            pipe.abandon()
            await end_of(upload)
            if pipe.is_read_out and not isinstance(error, BlobExists):
                await self._threads.run(self._withdraw, name, mark)
            raise
        finally:
            self._pipes.discard(pipe)
        return pipe.size_bytes

    async def read(
        self, name: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `BlobStore`; each part is a request of its own, so nothing is held between them."""
        checked_range(start, end)
        found = await self._run("get", self._find, name)
        size_bytes = _info(found).size_bytes
        end = size_bytes if end is None else min(end, size_bytes)
        while start < end:
            size = min(PART_BYTES, end - start)
            part = await self._run("get", self._part, name, found.generation, start, size)
            if len(part) != size:
                raise BlobStoreUnavailable(f"The blob {name} ended before its last byte.")
            start += size
            yield part

    async def delete(self, name: str) -> None:
        """See `BlobStore`."""
        try:
            await self._run("delete", self._delete, name)
        except BlobNotFound:
            return

    async def stat(self, name: str) -> BlobInfo | None:
        """See `BlobStore`."""
        try:
            return _info(await self._run("get", self._find, name))
        except BlobNotFound:
            return None

    async def names(self) -> AsyncIterator[BlobInfo]:
        """See `BlobStore`; a thousand are asked for at a time."""
        pages = await self._run("list", self._pages)
        while (page := await self._run("list", _next, pages)) is not None:
            for info in page:
                if is_name(info.name):
                    yield info

    async def signed_url(
        self,
        name: str,
        *,
        life_s: int,
        disposition: Disposition,
        file_name: str,
        mime_type: str,
    ) -> str:
        """See `BlobStore`; a V4 address of the bucket itself, for GET."""
        header = content_disposition(disposition, file_name)
        try:
            return await self._bucket_url(name, life_s, header, mime_type)
        except (BlobStoreRefused, BlobStoreUnavailable):
            if self._own is None:
                raise
            return self._own.url(name, life_s=life_s, disposition=disposition)

    async def public_url(self, name: str, *, life_s: int, mime_type: str) -> str | None:
        """See `BlobStore`; an emulator's addresses are of this machine alone."""
        if not self._is_public:
            return None
        with suppress(BlobStoreRefused, BlobStoreUnavailable):
            return await self._bucket_url(name, life_s, "inline", mime_type)
        return None

    async def unsigned_because(self) -> str | None:
        """See `BlobStore`."""
        try:
            await self._bucket_url("att_0", 1, "inline", "text/plain")
        except (BlobStoreRefused, BlobStoreUnavailable) as error:
            return str(error)
        return None

    async def aclose(self) -> None:
        """See `BlobStore`; uploads whose source still has something to say are given up."""
        for pipe in self._pipes:
            pipe.abandon()
        await self._uploads.aclose()
        await self._threads.aclose()
        await asyncio.to_thread(self._access.close)

    async def _bucket_url(self, name: str, life_s: int, disposition: str, mime_type: str) -> str:
        wanted = (checked_name(name), checked_life(life_s), disposition, mime_type)
        self._record.check()
        try:
            url = await self._run("get", self._sign, *wanted)
        except (BlobStoreRefused, BlobStoreUnavailable) as error:
            self._record.failed(error)
            raise
        self._record.worked()
        return url

    async def _run(self, right: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._explained(right):
            return await self._threads.run(call, *args, **kwargs)

    @contextmanager
    def _explained(self, right: str) -> Generator[None, None, None]:
        with explained(self._bucket_name, f"storage.objects.{right}"):
            yield

    # What follows blocks and runs in threads.

    def _upload(self, name: str, pipe: Pipe, mime_type: str, mark: str) -> None:
        try:
            with self._explained("create"):
                blob = self._access.bucket().blob(name, chunk_size=SENT_PART_BYTES)
                blob.metadata = {_MARK: mark}
                # Given no size, the library sends parts of one upload: to repeat a part whose
                # answer was lost is no second write, which would find the name taken.
                blob.upload_from_file(
                    pipe, content_type=mime_type, if_generation_match=0, **self._waiting
                )
        except Abandoned as error:
            raise BlobStoreUnavailable("The upload was given up before its end.") from error
        except BlobNotFound as error:
            raise BlobStoreUnavailable("The bucket forgot an upload: begin it again.") from error
        except ValueError as error:  # how the library says that a part was kept in part
            raise BlobStoreUnavailable("The bucket lost a part of an upload.") from error

    def _withdraw(self, name: str, mark: str) -> None:
        """Delete what we wrote when its last answer was lost or came too late, nothing else."""
        try:
            with self._explained("delete"):
                blob = self._find(name)
                metadata: dict[str, str] = blob.metadata or {}
                if metadata.get(_MARK) == mark:
                    blob.delete(if_generation_match=blob.generation, **self._waiting)
        except BlobNotFound:
            return
        except FlotillaError as error:
            logger.warning("blob_not_withdrawn name=%s code=%s", name, error.code)

    def _find(self, name: str) -> Any:
        blob = self._access.bucket().blob(checked_name(name))
        blob.reload(**self._waiting)
        return blob

    def _part(self, name: str, generation: int, start: int, size: int) -> bytes:
        blob = self._access.bucket().blob(name, generation=generation)
        # The sum that the bucket knows is that of the whole, so a part has none.
        return blob.download_as_bytes(
            start=start, end=start + size - 1, raw_download=True, checksum=None, **self._waiting
        )

    def _delete(self, name: str) -> None:
        self._access.bucket().blob(checked_name(name)).delete(**self._waiting)

    def _pages(self) -> Any:
        client = self._access.client()
        return client.list_blobs(
            self._bucket_name, page_size=PAGE, fields=_FIELDS, **self._waiting
        ).pages

    def _sign(self, name: str, life_s: int, disposition: str, mime_type: str) -> str:
        return (
            self._access.bucket()
            .blob(name)
            .generate_signed_url(
                version="v4",
                expiration=timedelta(seconds=life_s),
                method="GET",
                response_disposition=disposition,
                response_type=mime_type,
                credentials=self._access.signer(),
            )
        )


def _with(retry: Any, *, timeout: float, delay: float) -> Any:
    return retry.with_timeout(timeout).with_delay(initial=delay, maximum=8)


def _next(pages: Any) -> list[BlobInfo] | None:
    """Return the next page, asked for now; None after the last."""
    page = next(pages, None)
    return None if page is None else [_info(blob) for blob in page]


def _info(blob: Any) -> BlobInfo:
    return BlobInfo(blob.name, blob.size, blob.time_created)
