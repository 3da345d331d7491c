"""Starts Python programs from a process that has their imports already.

Importing is most of what a start costs: 1.6 s of CPU for the orchestrator, and a run of all tests
starts hundreds of programs. What is started here is a process of its own, forked and then run as
`python -m MODULE ARGUMENTS` runs it; it can be killed, frozen and waited for like any other.
"""

import contextlib
import gc
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
MAX_ORDER_BYTES = 512 * 1024
LOADED = ("orchestrator.app", "orchestrator.cli.serve", "fastmcp.server", "servers.kit.preload")


class WarmProcess:
    """A started program, to be used as a `subprocess.Popen` whose output is text."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        cwd: Path,
        environment: Mapping[str, str],
        stderr: int = subprocess.STDOUT,
    ) -> None:
        """Start `python -m module arguments`; `stderr` is a descriptor or STDOUT."""
        reader, writer = os.pipe()
        self._status, status = os.pipe()
        order = {"argv": [module, *arguments], "cwd": str(cwd), "environment": dict(environment)}
        errors = writer if stderr == subprocess.STDOUT else stderr
        with _one_order:
            self.pid = _oven().start(order, (writer, errors, status))
        os.close(writer)
        os.close(status)
        self.stdout = os.fdopen(reader, encoding="utf-8")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended, negative for a signal. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(os.read(self._status, 16) or b"-9")
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        # It may end just now: who started it learns that a moment later.
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Oven:
    """The process that has the imports, one for each process that runs tests."""

    def __init__(self) -> None:
        self._door, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for side in (self._door, inside):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_ORDER_BYTES)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with inside:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(inside.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[inside.fileno()],
                start_new_session=True,
            )

    def start(self, order: Mapping[str, object], descriptors: tuple[int, ...]) -> int:
        """Start a program; it gets its output, its errors and where its exit code goes."""
        socket.send_fds(self._door, [json.dumps(order).encode()], list(descriptors))
        answer = self._door.recv(16)
        if not answer:
            raise RuntimeError("the process that starts programs has ended")
        return int(answer)


_ovens: dict[int, _Oven] = {}
_one_order = threading.Lock()
"""Held from an order to its answer: nothing in an answer says whose it is."""


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stderr: int = subprocess.STDOUT,
) -> "subprocess.Popen[str] | WarmProcess":
    """Start a program, warm where that is the same: `python -m` without settings of Python."""
    of_python = {name for name in environment if name.startswith("PYTHON")} - {"PYTHONUNBUFFERED"}
    if environment.get("PYTHONPATH") == str(ROOT):  # It has that path anyway.
        of_python.discard("PYTHONPATH")
    if tuple(command[:2]) == (sys.executable, "-m") and not of_python:
        return WarmProcess(*command[2:], cwd=cwd, environment=environment, stderr=stderr)
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def run(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its output and its errors come apart. Raises TimeoutExpired."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = spawn(command, cwd=cwd, environment=environment, stderr=errors.fileno())
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        assert process.stdout is not None
        with process.stdout as pipe:
            output = pipe.read()
        code = process.wait(timeout_s)
        if not timer.is_alive():
            raise subprocess.TimeoutExpired(list(command), timeout_s, output)
        timer.cancel()
        errors.seek(0)
        return subprocess.CompletedProcess(list(command), code, output, errors.read())


def _oven() -> _Oven:
    # A forked test process must not share its parent's.
    if os.getpid() not in _ovens:
        _ovens[os.getpid()] = _Oven()
    return _ovens[os.getpid()]


def _serve(door: socket.socket) -> list[str]:
    """Fork a program for each order; returns, in the program, what `python -m` would be given."""
    statuses: dict[int, int] = {}
    wake, waker = socket.socketpair()
    for side in (wake, waker):
        side.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    while True:
        ready, _, _ = select.select([door, wake], [], [])
        if wake in ready:
            wake.recv(4096)
            _reap(statuses)
        if door not in ready:
            continue
        text, descriptors, _, _ = socket.recv_fds(door, MAX_ORDER_BYTES, 3)
        if not text:
            _end(statuses)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (*statuses.values(), door.fileno(), descriptors[2]):
                os.close(descriptor)
            for side in (wake, waker):
                side.close()
            return _become(json.loads(text), *descriptors[:2])
        statuses[pid] = descriptors[2]
        os.close(descriptors[0])
        if descriptors[1] != descriptors[0]:
            os.close(descriptors[1])
        door.send(str(pid).encode())


def _reap(statuses: dict[int, int]) -> None:
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        descriptor = statuses.pop(pid)
        # Who started it may be gone.
        with contextlib.suppress(BrokenPipeError):
            os.write(descriptor, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(descriptor)


def _become(order: dict[str, object], output: int, errors: int) -> list[str]:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for descriptor in {output, errors}:
        os.close(descriptor)
    os.chdir(str(order["cwd"]))
    environment = order["environment"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    random.seed()
    argv = order["argv"]
    assert isinstance(argv, list)
    return argv


def _end(programs: Mapping[int, int]) -> NoReturn:
    """End what a test process left behind when it was killed itself."""
    for pid in programs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    sys.exit(0)


if __name__ == "__main__":
    for name in LOADED:
        import_module(name)
    import_module("servers.kit.preload").preload()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as inside_door:
        program, *given = _serve(inside_door)
        inside_door.detach()
    sys.argv = [program, *given]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
