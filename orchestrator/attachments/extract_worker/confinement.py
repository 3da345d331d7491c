"""Takes from this process what reading a document does not need."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from typing import Any

MEMORY_LIMIT_BYTES = 512 * 1024 * 1024
CPU_SOFT_LIMIT_S = 15
CPU_HARD_LIMIT_S = 20
WALL_SOFT_LIMIT_S = 20
"""After a soft limit what was read so far is the answer; after the hard one there is none."""
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_FORBIDDEN = (
    *("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.spawn"),
    *("os.kill", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown"),
    *("os.link", "os.symlink", "os.truncate", "shutil.", "pty.spawn", "ctypes."),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class TimeUp(BaseException):
    """A soft limit of time was reached; no `except Exception` of a library may hold it."""


def confine() -> None:
    """Bound memory, time and files, leave the network, and refuse what touches anything else.

    The limits and the network are kept by the kernel (the network where it lets a process without
    rights make a namespace of its own); the audit hook stops Python code, not a broken C library.
    """
    # macOS refuses a lower address space; there the limits of time alone have to do.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SOFT_LIMIT_S, CPU_HARD_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)  # a chat that goes on matters more
    for number in (signal.SIGXCPU, signal.SIGALRM):
        signal.signal(number, _time_is_up)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the orchestrator, which kills us
    signal.setitimer(signal.ITIMER_REAL, WALL_SOFT_LIMIT_S)
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    sys.addaudithook(_refuse)


def _time_is_up(_number: int, _frame: object) -> None:
    for number in (signal.SIGXCPU, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    raise TimeUp


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    is_writing = event == "open" and bool(arguments[2] & _WRITING)
    if is_writing or event.startswith(_FORBIDDEN):
        raise PermissionError(f"a document asked for {event}")
