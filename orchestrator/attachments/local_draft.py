"""A blob on its way into a folder: it gets its name when it is whole and on the disk."""

import fcntl
import os
import secrets
from pathlib import Path

_CLOSED = -1  # a descriptor that every call refuses


class Draft:
    """A file in `incoming` that becomes `target`. Every method blocks and may raise OSError.

    It is locked while its process lives: that is how `sweep` tells it from what a dead one left.
    """

    def __init__(self, incoming: Path, target: Path) -> None:
        self._path = incoming / secrets.token_hex(16)
        self._target = target
        self._descriptor = _CLOSED
        self._is_published = False
        self.size_bytes = 0

    def open(self) -> None:
        """Make the file, readable by nobody else."""
        while self._descriptor == _CLOSED:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                self._descriptor = descriptor
            else:  # swept by another process before we had the lock
                os.close(descriptor)

    def append(self, chunk: bytes) -> None:
        """Write all of `chunk`."""
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self.size_bytes += len(chunk)

    def publish(self) -> None:
        """Give the file its name, so that a power cut takes all of it or nothing.

        Raises FileExistsError when the name is taken.
        """
        os.fsync(self._descriptor)
        folder = self._target.parent
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        # A link fails when the name is taken; a rename would replace what is there.
        os.link(self._path, self._target)
        self._is_published = True
        sync_folder(folder)
        self._let_go()

    def withdraw(self) -> None:
        """Take away what was written, also when it has its name already."""
        if self._is_published:
            self._target.unlink(missing_ok=True)
            sync_folder(self._target.parent)
        self._let_go()

    def _let_go(self) -> None:
        self._path.unlink(missing_ok=True)
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED


def sweep(incoming: Path) -> None:
    """Delete the drafts of processes that are no more. Raises OSError."""
    for path in incoming.iterdir():
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:  # its process has just finished it
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` outlast a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
