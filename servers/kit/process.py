"""Which process this is, for those on the same machine who want to know its memory."""

import os
from pathlib import Path

_PROC = Path("/proc")
_START_FIELD = 19
"""Of what follows the name in /proc/PID/stat: when the process began, in ticks since the boot."""


def own_process() -> dict[str, object] | None:
    """Its id, when it began and in which boot, so that no other is taken for it; None off Linux."""
    try:
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        status = (_PROC / "self/stat").read_text()
    except OSError:
        return None
    started = int(status.rpartition(")")[2].split()[_START_FIELD])
    return {"pid": os.getpid(), "started_ticks": started, "boot_id": boot_id}
