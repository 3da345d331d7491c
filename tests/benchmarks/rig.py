"""What the numbers were measured on."""

import os
import platform
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

_FSYNCS = 20


@dataclass(frozen=True)
class Rig:
    """The machine, and how busy it was when the run began."""

    date: str
    cores: int
    cpu: str
    python: str
    kernel: str
    load_average: tuple[float, float, float]
    fsync_ms: float
    """What taking 4 kB to the disk costs in the folder the data is kept in."""


def this_rig() -> Rig:
    """Describe this machine now."""
    return Rig(
        date=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        cores=len(os.sched_getaffinity(0)),
        cpu=_cpu_model(),
        python=platform.python_version(),
        kernel=platform.release(),
        load_average=os.getloadavg(),
        fsync_ms=_fsync_ms(),
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _fsync_ms() -> float:
    times: list[float] = []
    with tempfile.TemporaryFile() as file:
        for _ in range(_FSYNCS):
            file.write(bytes(4096))
            file.flush()
            began_ns = time.perf_counter_ns()
            os.fsync(file.fileno())
            times.append((time.perf_counter_ns() - began_ns) / 1e6)
    return median(times)
