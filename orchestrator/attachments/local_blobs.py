"""Blobs in a folder: `xx/NAME`, where xx is the end of the name, which is its random part."""

import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from orchestrator.attachments.blobs import BlobInfo, checked_name, checked_range, is_name
from orchestrator.attachments.local_draft import Draft, sweep, sync_folder
from orchestrator.attachments.signing import OwnAddresses
from orchestrator.attachments.threads import Threads
from orchestrator.domain.attachments import Disposition
from orchestrator.errors import (
    BlobExists,
    BlobNotFound,
    BlobStoreRefused,
    BlobStoreUnavailable,
    StorageFull,
)

P = ParamSpec("P")
T = TypeVar("T")

CHUNK_BYTES = 256 * 1024
_THREADS = 4
_CLOSED = -1  # a descriptor that every call refuses
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_REFUSED = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOTDIR))


class LocalBlobStore:
    """Keeps blobs in `folder`, which is made when it is missing.

    Addresses are `own`. What an earlier
    process left half-written is swept at once; raises BlobStoreRefused when the folder cannot be
    used. A bucket promises the same: see `BlobStore`.
    """

    def __init__(self, folder: Path, own: OwnAddresses) -> None:
        self._folder = folder
        self._incoming = folder / ".incoming"
        self._own = own
        with self._explained():
            for made in (folder, self._incoming):
                made.mkdir(mode=0o700, parents=True, exist_ok=True)
            sweep(self._incoming)
        self._threads = Threads(_THREADS)

    async def write(self, name: str, chunks: AsyncIterable[bytes], *, mime_type: str) -> int:
        """See `BlobStore`; `mime_type` is known from the attachment's row, so not kept here."""
        draft = Draft(self._incoming, self._path(name))
        try:
            await self._run(draft.open)
            async for chunk in chunks:
                await self._run(draft.append, chunk)
            try:
                await self._run(draft.publish)
            except FileExistsError as error:
                raise BlobExists(f"There is a blob named {name} already.") from error
        except BaseException:
            await self._run(draft.withdraw)
            raise
        return draft.size_bytes

    async def read(
        self, name: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `BlobStore`."""
        checked_range(start, end)
        file = _Reading(self._path(name))
        try:
            try:
                size = await self._run(file.open)
            except FileNotFoundError as error:
                raise BlobNotFound(f"There is no blob named {name}.") from error
            end = size if end is None else min(end, size)
            while start < end:
                chunk = await self._run(file.at, start, min(CHUNK_BYTES, end - start))
                if not chunk:
                    raise BlobStoreUnavailable(f"The blob {name} ended before its last byte.")
                start += len(chunk)
                yield chunk
        finally:
            file.close()

    async def delete(self, name: str) -> None:
        """See `BlobStore`; when it returns, a power cut does not bring the blob back."""
        await self._run(_remove, self._path(name))

    async def stat(self, name: str) -> BlobInfo | None:
        """See `BlobStore`."""
        try:
            return await self._run(_info, self._path(name))
        except FileNotFoundError:
            return None

    async def names(self) -> AsyncIterator[BlobInfo]:
        """See `BlobStore`; one folder is read at a time."""
        for folder in await self._run(_folders, self._folder):
            for info in await self._run(_infos, folder):
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
        """See `BlobStore`; name and type come from the attachment's row when it is opened."""
        return self._own.url(name, life_s=life_s, disposition=disposition)

    async def public_url(self, name: str, *, life_s: int, mime_type: str) -> str | None:
        """See `BlobStore`; most often ours are of this machine alone."""
        return None

    async def unsigned_because(self) -> str | None:
        """See `BlobStore`; we sign them ourselves."""
        return None

    async def aclose(self) -> None:
        """See `BlobStore`."""
        await self._threads.aclose()

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)[-2:] / name

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._explained():
            return await self._threads.run(call, *args, **kwargs)

    @contextmanager
    def _explained(self) -> Generator[None, None, None]:
        """Raise our own errors for those of the disk; that a file is there or not is no error."""
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull("The disk is full: the file was not stored.") from error
            if error.errno in _REFUSED:
                raise BlobStoreRefused(
                    f"{self._folder} cannot be used ({error.strerror}): check whose it is."
                ) from error
            raise BlobStoreUnavailable(f"{self._folder} failed: {error.strerror}.") from error


class _Reading:
    """An open blob; opened and read in threads, so the descriptor is kept here, never lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _CLOSED

    def open(self) -> int:
        """Return the size in bytes. Raises OSError."""
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        return os.fstat(self._descriptor).st_size

    def at(self, start: int, size: int) -> bytes:
        """Return up to `size` bytes; none beyond the end. Raises OSError."""
        return os.pread(self._descriptor, size, start)

    def close(self) -> None:
        """Let go of the file; it may never have been opened."""
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)


def _info(path: Path) -> BlobInfo:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(path)
    created = datetime.fromtimestamp(found.st_mtime, UTC)
    return BlobInfo(path.name, found.st_size, created)


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if not path.name.startswith(".") and path.is_dir()]


def _infos(folder: Path) -> list[BlobInfo]:
    found: list[BlobInfo] = []
    for path in folder.iterdir():
        if is_name(path.name):
            with suppress(FileNotFoundError):  # deleted since the folder was read
                found.append(_info(path))
    return found
