"""The state of the machine: figures only, nothing of the environment."""

import os
import shutil
import time
from pathlib import Path

from servers.housekeeping.models import SystemStatus

_MEMORY = Path("/proc/meminfo")


def status(folder: Path) -> SystemStatus:
    """Return load, memory and the disk that holds `folder`; None where the system has no /proc."""
    load_1min, load_5min, _ = os.getloadavg()
    memory = _memory_bytes()
    disk = shutil.disk_usage(folder if folder.exists() else "/")
    return SystemStatus(
        cpu_count=os.cpu_count() or 1,
        load_1min=round(load_1min, 2),
        load_5min=round(load_5min, 2),
        memory_total_bytes=memory.get("MemTotal"),
        memory_available_bytes=memory.get("MemAvailable"),
        disk_total_bytes=disk.total,
        disk_free_bytes=disk.free,
        uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME))
        if hasattr(time, "CLOCK_BOOTTIME")
        else None,
    )


def _memory_bytes() -> dict[str, int]:
    if not _MEMORY.exists():
        return {}
    rows = (line.split() for line in _MEMORY.read_text(encoding="ascii").splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3}
