"""The exact CPU time and the memory of a process and its children."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

REST_MS = 0.5
_PAUSE_S = 0.03
_MAX_PAUSES = 60
MEGABYTE = 1_048_576


def tree(pid: int) -> Iterator[int]:
    """Yield `pid` and all that descend from it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from tree(int(child))


def cpu_ms(pid: int) -> float:
    """Return the CPU time of a process and its living children so far, exact to the nanosecond.

    The number of another process' CPU clock is made from its id as clock_getcpuclockid(3) does;
    /proc/PID/stat counts in steps of 10 ms.
    """
    return sum(time.clock_gettime_ns((~member << 3) | 2) for member in tree(pid)) / 1e6


async def cpu_at_rest_ms(pid: int) -> float:
    """Return `cpu_ms` once the process has done what it had left to do."""
    before = cpu_ms(pid)
    for _ in range(_MAX_PAUSES):
        await asyncio.sleep(_PAUSE_S)
        now = cpu_ms(pid)
        if now - before < REST_MS:
            return now
        before = now
    return before


def resident_mb(pid: int) -> float:
    """Return the resident memory of one process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def peak_mb(pid: int) -> float:
    """Return the most resident memory since `forget_peak`."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM") / 1024


def forget_peak(pid: int) -> None:
    """Let `peak_mb` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def proportional_mb(pid: int) -> float:
    """Return the PSS of one process: its own pages, and its share of the shared ones."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") / 1024


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {name}")
