"""One orchestrator per data folder."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cli.complaint import Complaint

_LOCK = "orchestrator.lock"


@contextmanager
def data_lock(data_dir: Path) -> Generator[None]:
    """Hold `orchestrator.lock` while the block runs. Raises Complaint when another process does."""
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            raise Complaint(
                f"Flotilla already runs on {data_dir} (process {holder or 'unknown'}). "
                "`flotilla sign-in` makes a link to it; FLOTILLA_DATA_DIR names another folder."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def lock_holder(data_dir: Path) -> str | None:
    """Return the id of the process that runs on `data_dir`, or None; it is not kept waiting."""
    try:
        descriptor = os.open(data_dir / _LOCK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return None
