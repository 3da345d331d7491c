"""Files that a server keeps itself, while it has no orchestrator.

`FOLDER/file_.../` has the bytes and what is known of them. It is made beside, in `.incoming`, and
moved into place at once: a file is there whole, or not at all.
"""

import asyncio
import errno
import io
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from servers.kit.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from servers.kit.files.stored import StoredFile

PREFIX = "file_"
LIFE_S = 7 * 24 * 3600
# A write that nothing was added to for so long was that of a process that died.
ABANDONED_S = 3600
SWEEP_EVERY_S = 3600
CHUNK_BYTES = 256 * 1024
_ID = re.compile(rf"{PREFIX}[0-9a-f]{{26}}")
_ABOUT = "about.json"

UrlOf = Callable[[str, Path], str]


def files_folder(server: str) -> Path:
    """Where a server keeps its files, relative to the data directory."""
    return Path("servers", server, "files")


class LocalFiles:
    """The files of one folder; other processes of the same server may use it too."""

    def __init__(self, folder: Path, url_of: UrlOf) -> None:
        """`url_of(attachment_id, path)` is where a file can be fetched."""
        self._folder = folder
        self._url_of = url_of
        self._sweep_due_s = 0.0

    async def save(self, name: str, mime: str, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Keeps a file for 7 days. Raises Unavailable or NotAllowed, and what `chunks` raises."""
        draft = await asyncio.to_thread(self._begin, name)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(draft.write, chunk)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(draft.discard))
            raise
        # Ends even when the caller is cancelled: then the file is there, and kept its 7 days.
        path, size_bytes = await asyncio.shield(asyncio.to_thread(draft.commit, name, mime))
        attachment_id = path.parent.name
        url = await asyncio.to_thread(self._url_of, attachment_id, path)
        return StoredFile(attachment_id, name, mime, size_bytes, url)

    async def find(self, attachment_id: str) -> tuple[StoredFile, Path]:
        """What is known of a file, and where its bytes are. Raises NotFound."""
        return await asyncio.to_thread(self._find, attachment_id)

    async def read(self, attachment_id: str, start: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` on. Raises NotFound or InvalidInput."""
        file = await asyncio.to_thread(self._open, attachment_id, start)
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
        finally:
            file.close()

    def _begin(self, name: str) -> "_Draft":
        with _translated(self._folder):
            self._sweep_if_due()
            return _Draft(self._folder, name)

    def _find(self, attachment_id: str) -> tuple[StoredFile, Path]:
        unknown = NotFound(
            f"There is no file {attachment_id!r} here; files are kept for 7 days."
            " Get it again from where it came from."
        )
        if not _ID.fullmatch(attachment_id):
            raise unknown
        folder = self._folder / attachment_id
        try:
            about: dict[str, Any] = json.loads((folder / _ABOUT).read_bytes())
            path = folder / _content_name(about["name"])
            size_bytes = path.stat().st_size
        except FileNotFoundError as error:
            raise unknown from error
        url = self._url_of(attachment_id, path)
        return StoredFile(attachment_id, about["name"], about["mime"], size_bytes, url), path

    def _open(self, attachment_id: str, start: int) -> io.BufferedReader:
        stored, path = self._find(attachment_id)
        if not 0 <= start <= stored.size_bytes:
            raise InvalidInput(f"start is {start}: use 0 to {stored.size_bytes}, the file's size.")
        file = path.open("rb")
        file.seek(start)
        return file

    def _sweep_if_due(self) -> None:
        """Deletes what is too old, at the first use and every hour after that."""
        if time.monotonic() < self._sweep_due_s:
            return
        self._sweep_due_s = time.monotonic() + SWEEP_EVERY_S
        now_s = time.time()
        for folder, life_s in ((self._folder, LIFE_S), (_incoming(self._folder), ABANDONED_S)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for entry in folder.iterdir():
                if _ID.fullmatch(entry.name) and now_s - _touched_s(entry) > life_s:
                    shutil.rmtree(entry, ignore_errors=True)


class _Draft:
    """A file that is being written."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._draft = _incoming(folder) / f"{PREFIX}{secrets.token_hex(13)}"
        self._draft.mkdir(mode=0o700)
        self._content = self._draft / _content_name(name)
        self._file = open(_new(self._content), "wb", buffering=CHUNK_BYTES)  # noqa: SIM115, a descriptor, closed by commit or discard

    def write(self, chunk: bytes) -> None:
        with _translated(self._folder):
            self._file.write(chunk)

    def commit(self, name: str, mime: str) -> tuple[Path, int]:
        """Puts the file into its place; returns the path of its bytes, and how many they are."""
        try:
            with _translated(self._folder):
                with self._file:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    size_bytes = self._file.tell()
                about = json.dumps({"name": name, "mime": mime}).encode()
                with open(_new(self._draft / _ABOUT), "wb") as file:
                    file.write(about)
                    file.flush()
                    os.fsync(file.fileno())
                _sync(self._draft)
                kept = self._draft.rename(self._folder / self._draft.name)
                _sync(self._folder)
        except BaseException:
            self.discard()
            raise
        return kept / self._content.name, size_bytes

    def discard(self) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # What could not be written is thrown away anyway.
        finally:
            shutil.rmtree(self._draft, ignore_errors=True)


def _incoming(folder: Path) -> Path:
    return folder / ".incoming"


def _content_name(name: str) -> str:
    """`content`, with a suffix by which programs on this machine know what to open it with."""
    suffix = PurePosixPath(name).suffix.lower()
    return f"content{suffix}" if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else "content"


def _touched_s(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return time.time()  # Another process moves or deletes it right now.


def _new(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable(
                f"The disk is full, so that the file was not kept: make room for {folder}."
            ) from error
        raise NotAllowed(
            f"Files cannot be kept in {folder} ({error.strerror}): check the folder and its owner."
        ) from error
