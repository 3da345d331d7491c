"""Ties a process's life to its parent's, so that a killed parent leaves no orphans behind."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals, parent_pid: int) -> None:
    """Has the kernel send `number` to this process when its parent is gone.

    Linux only; elsewhere nothing happens. Acts at once when `parent_pid` is already gone.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), number)
