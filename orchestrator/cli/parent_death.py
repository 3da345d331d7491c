"""Ties a process to the one that started it, so that a killed supervisor leaves no orphans."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent is gone. Linux only; elsewhere nothing."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        # It died before the kernel knew our wish.
        os.kill(os.getpid(), signal.SIGTERM)
