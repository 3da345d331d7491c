"""Which process began a call, and whether it is still there."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Fields of /proc/PID/stat behind the command, which may hold spaces and brackets (proc(5)).
_STATE = 0
_START_TIME = 19
_GONE = ("Z", "X")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told apart from a later one that got the same number."""

    pid: int
    began: str
    """Boot and clock tick of its start; empty where the system does not say."""
    opening: str
    """Which opening of a ledger in that process."""


def this_process() -> ProcessId:
    """The calling process, with a new `opening`."""
    pid = os.getpid()
    return ProcessId(pid, _began(pid) or "", secrets.token_hex(8))


def is_alive(process: ProcessId) -> bool:
    """Whether `process` runs. A process that was killed and not yet waited for does not."""
    if process.began:
        return _began(process.pid) == process.began
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _began(pid: int) -> str | None:
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="ascii", errors="replace")
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _GONE else f"{boot}/{fields[_START_TIME]}"
