"""The memory of servers that run on this machine, read where the kernel keeps the books."""

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

FRESH_S = 5.0
_PROC = Path("/proc")
_START_FIELD = 19
"""Of what follows the name in /proc/PID/stat: when the process began, in ticks since the boot."""


class ServerProcess(BaseModel):
    """The process that answers for a server; ids are used again, the moment of birth is not."""

    model_config = ConfigDict(frozen=True)

    pid: int = Field(ge=1)
    started_ticks: int
    boot_id: str


class ServerHealth(BaseModel):
    """What a server of the fleet answers about its health to those who show its token."""

    process: ServerProcess | None = None


class ProcessMemory:
    """Reads memory at most once in five seconds for each process."""

    def __init__(self) -> None:
        self._known: dict[ServerProcess, tuple[float, int | None]] = {}

    async def pss_bytes(
        self, processes: Collection[ServerProcess]
    ) -> dict[ServerProcess, int | None]:
        """Return the proportional set size of each; None when it is not on this machine any more.

        The pages that processes share are counted in parts, so the sizes add up.
        """
        now = time.monotonic()
        due = [
            process
            for process in processes
            if process not in self._known or now - self._known[process][0] >= FRESH_S
        ]
        if due:
            # The kernel walks the page tables for it: a millisecond or more for each process.
            sizes = await asyncio.to_thread(lambda: [_pss_bytes(process) for process in due])
            self._known |= {process: (now, size) for process, size in zip(due, sizes, strict=True)}
        self._known = {process: self._known[process] for process in processes}
        return {process: size for process, (_, size) in self._known.items()}


def _pss_bytes(process: ServerProcess) -> int | None:
    folder = _PROC / str(process.pid)
    try:
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        lines = (folder / "smaps_rollup").read_text().splitlines()
        started = (folder / "stat").read_text().rpartition(")")[2].split()[_START_FIELD]
    except OSError:  # Gone, of another user, or no such kernel: nothing to show.
        return None
    if boot_id != process.boot_id or int(started) != process.started_ticks:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)
