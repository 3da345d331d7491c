"""Starts real programs for tests and ends them, whatever happens to the test."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from tests.warm import spawn

ROOT = Path(__file__).resolve().parents[1]
READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class NotReady(AssertionError):
    """The program ended, or its time was up, before it said that it was ready."""


class Program:
    """A running program, the leader of its own process group."""

    def __init__(self, command: tuple[str, ...], cwd: Path, environment: Mapping[str, str]) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self.process = spawn(command, cwd=cwd, environment=environment)
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is the id of the process group too."""
        return self.process.pid

    @property
    def output(self) -> str:
        """Everything printed so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, timeout_s: float = READY_TIMEOUT_S) -> re.Match[str]:
        """Return the first match of `pattern` in a printed line. Raises NotReady."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self._lines)
                left_s = deadline - time.monotonic()
                if self._ended or left_s <= 0:
                    reason = "ended" if self._ended else f"said nothing in {timeout_s} s"
                    raise NotReady(f"no {pattern!r}: it {reason}. Output:\n{''.join(self._lines)}")
                self._changed.wait(left_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self, patience_s: float = STOP_TIMEOUT_S) -> int:
        """Ask the program to end, make it end; returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        self.signal(signal.SIGKILL)  # children that outlived it
        code = self.process.wait(STOP_TIMEOUT_S)
        self._reader.join(STOP_TIMEOUT_S)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextlib.contextmanager
def started(
    *command: str,
    ready: str,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = READY_TIMEOUT_S,
) -> Generator[tuple[Program, re.Match[str]]]:
    """Run `command` until the block ends; gives it with the match of its `ready` line."""
    program = Program(command, cwd, environment or {})
    try:
        yield program, program.wait_for(ready, timeout_s)
    finally:
        program.stop()
