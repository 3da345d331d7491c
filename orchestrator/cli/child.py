"""One child process that is started again when it dies."""

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

from orchestrator.environment import child_environment

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 60.0
TAIL_LINES = 3


def _ignore_line(_line: bytes) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """What to run."""

    name: str
    arguments: Callable[[], Sequence[str]]
    """Asked at each start."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    on_line: Callable[[bytes], None] = _ignore_line
    """Gets each line of the child's standard output."""
    takes_orders: bool = False
    """Whether `tell` reaches its standard input."""


class Child:
    """Keeps one process running, in its own process group; its stderr goes to a file."""

    def __init__(self, plan: ChildPlan, log_dir: Path, report: Callable[[str], None]) -> None:
        self.name = plan.name
        self.died = asyncio.Event()
        self._plan = plan
        self._log_path = log_dir / f"{plan.name}.log"
        self._report = report
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    async def keep_running(self) -> Never:
        """Start it now, and again after each death, with growing pauses."""
        delay_s = FIRST_DELAY_S
        self._set_old_log_aside()
        while True:
            started_at_s = time.monotonic()
            code = await self._run_once()
            self.died.set()
            if time.monotonic() - started_at_s >= HEALTHY_AFTER_S:
                delay_s = FIRST_DELAY_S
            self._report(
                f"{self.name}: ended ({_how(code)}), starts again in {delay_s:g} s. "
                f"{self._log_path} says why."
            )
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    def tell(self, line: str) -> None:
        """Send a line to a child that takes orders; one that is not running gets nothing."""
        process = self._process
        if process is not None and process.returncode is None and process.stdin is not None:
            process.stdin.write(f"{line}\n".encode())

    async def stop(self, grace_s: float) -> None:
        """Ask it to end, and after `grace_s` kill its whole process group."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def last_words(self) -> str:
        """Return the end of what it wrote to stderr."""
        try:
            lines = self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-TAIL_LINES:])

    def _set_old_log_aside(self) -> None:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        if self._log_path.exists():
            self._log_path.replace(self._log_path.with_suffix(".log.old"))

    async def _run_once(self) -> int:
        with self._log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._plan.arguments(),
                env=child_environment(self._plan.environment),
                stdin=PIPE if self._plan.takes_orders else DEVNULL,
                stdout=PIPE,
                stderr=log,
                start_new_session=True,
            )
        output = self._process.stdout
        if output is not None:
            async for line in output:
                self._plan.on_line(line)
        return await self._process.wait()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"
