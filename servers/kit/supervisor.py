"""Runs several servers, each in its own process, forked from one parent that has all imports."""

import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from servers.kit.parent_death import die_with_parent

logger = logging.getLogger(__name__)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 60.0
# A server ends within `DRAIN_S` and a little by itself; a frozen one is killed after this.
STOP_GRACE_S = 4.0

OnReady = Callable[[str], None]
Run = Callable[[OnReady], None]


@dataclass(frozen=True)
class ServerEvent:
    """A server became ready or went down; `url` is empty when it is down."""

    server: str
    pid: int
    url: str
    state: Literal["ready", "down"]


class Child:
    """One server's process, and when to start the next one if it dies."""

    def __init__(self, name: str, run: Run) -> None:
        self.name = name
        self.run = run
        self.kill_at_s: float | None = None
        """Set while it is ending because nobody wants it any more."""
        self.pid: int | None = None
        self.ready_pipe: int | None = None
        self.is_known_down = False
        self.started_at_s = 0.0
        self.due_at_s = 0.0
        self.delay_s = FIRST_DELAY_S

    def plan_restart(self, now_s: float) -> None:
        if now_s - self.started_at_s >= HEALTHY_AFTER_S:
            self.delay_s = FIRST_DELAY_S
        self.due_at_s = now_s + self.delay_s
        self.delay_s = min(self.delay_s * 2, LONGEST_DELAY_S)


class Supervisor:
    """Keeps every server alive until SIGTERM or SIGINT.

    `servers` maps a name to a function that runs in the forked child, serves until SIGTERM and
    calls back with its URL once it listens. All of them run, or those in `wanted`. From `orders`, a
    file descriptor, come lines with the names that shall run from now on, with spaces between them.
    Must be used in the main thread of a process that has no other threads.
    """

    def __init__(
        self,
        servers: Mapping[str, Run],
        report: Callable[[ServerEvent], None],
        *,
        wanted: Collection[str] | None = None,
        orders: int | None = None,
    ) -> None:
        self._servers = dict(servers)
        self._children: list[Child] = []
        self._report = report
        self._orders = orders
        self._order = b""
        self._selector = selectors.DefaultSelector()
        self._signals, self._signals_in = socket.socketpair()
        self._is_stopping = False
        self._want(self._servers if wanted is None else wanted)

    def run(self) -> None:
        """Returns when all servers have stopped."""
        self._catch_signals()
        # Frozen objects are left alone by the children's collectors, so their pages stay shared.
        gc.collect()
        gc.freeze()
        if self._orders is not None:
            self._selector.register(self._orders, selectors.EVENT_READ)
        while not self._is_stopping:
            self._start_due()
            self._wait(self._next_due_s())
            self._reap()
            self._kill_late()
        self._stop_all()

    def _catch_signals(self) -> None:
        self._signals.setblocking(False)
        self._signals_in.setblocking(False)
        self._selector.register(self._signals, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._signals_in.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, _wake_only)

    def _want(self, names: Collection[str]) -> None:
        """Start those that do not run, and end the others."""
        for name in sorted(set(names) - self._servers.keys()):
            logger.warning("server_unknown server=%s", name)
        kept: list[Child] = []
        for child in self._children:
            if child.name not in names and child.pid is not None and child.kill_at_s is None:
                os.kill(child.pid, signal.SIGTERM)
                child.kill_at_s = time.monotonic() + STOP_GRACE_S
            if child.name in names or child.pid is not None:
                kept.append(child)
        # One that is ending gets a successor, which starts once the port is free.
        staying = {child.name for child in kept if child.kill_at_s is None}
        added = [name for name in self._servers if name in names and name not in staying]
        self._children = [*kept, *(Child(name, self._servers[name]) for name in added)]

    def _take_orders(self, descriptor: int) -> None:
        """Obey the last whole line; at the end of the orders, go on as before."""
        received = os.read(descriptor, 65_536)
        if not received:
            self._selector.unregister(descriptor)
        *lines, self._order = (self._order + received).split(b"\n")
        if lines:
            self._want(lines[-1].decode().split())

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for child in self._children:
            if self._may_start(child) and child.due_at_s <= now_s:
                self._start(child)

    def _may_start(self, child: Child) -> bool:
        """Tell whether it does not run, and no earlier process of its name is ending."""
        return child.pid is None and not any(
            other.name == child.name and other.kill_at_s is not None for other in self._children
        )

    def _kill_late(self) -> None:
        """End what was asked to end and did not."""
        now_s = time.monotonic()
        for child in self._children:
            if child.pid is not None and child.kill_at_s is not None and child.kill_at_s <= now_s:
                os.kill(child.pid, signal.SIGKILL)
                child.kill_at_s = now_s + STOP_GRACE_S

    def _start(self, child: Child) -> None:
        reader, writer = os.pipe()
        parent_pid = os.getpid()
        child.started_at_s = time.monotonic()
        child.pid = os.fork()
        if child.pid == 0:
            self._become(child, writer, parent_pid)
        os.close(writer)
        child.ready_pipe = reader
        self._selector.register(reader, selectors.EVENT_READ, child)

    def _become(self, child: Child, writer: int, parent_pid: int) -> NoReturn:
        """The life of a forked child; never returns into the parent's code."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            self._close_pipes()
            if self._orders is not None:
                os.dup2(os.open(os.devnull, os.O_RDONLY), self._orders)
            die_with_parent(signal.SIGKILL, parent_pid)

            def announce(url: str) -> None:
                os.write(writer, url.encode())
                os.close(writer)

            child.run(announce)
            code = 0
        except Exception:
            logger.exception("server_failed server=%s", child.name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _close_pipes(self) -> None:
        self._selector.close()
        self._signals.close()
        self._signals_in.close()
        for child in self._children:
            if child.ready_pipe is not None:
                os.close(child.ready_pipe)

    def _next_due_s(self) -> float | None:
        due = [child.due_at_s for child in self._children if self._may_start(child)]
        due += [child.kill_at_s for child in self._children if child.kill_at_s is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _wait(self, timeout_s: float | None) -> None:
        for key, _ in self._selector.select(timeout_s):
            if isinstance(key.data, Child):
                self._read_ready(key.data)
            elif key.fd == self._orders:
                self._take_orders(key.fd)
            elif set(self._signals.recv(4096)) & {signal.SIGTERM, signal.SIGINT}:
                self._is_stopping = True

    def _read_ready(self, child: Child) -> None:
        if child.ready_pipe is None or child.pid is None:
            return
        # A URL is shorter than PIPE_BUF, so it arrives in one piece; nothing means it died.
        url = os.read(child.ready_pipe, 4096).decode()
        self._drop_pipe(child)
        if url:
            child.is_known_down = False
            self._report(ServerEvent(child.name, child.pid, url, "ready"))

    def _drop_pipe(self, child: Child) -> None:
        if child.ready_pipe is not None:
            self._selector.unregister(child.ready_pipe)
            os.close(child.ready_pipe)
            child.ready_pipe = None

    def _reap(self) -> None:
        for child in tuple(self._children):
            if child.pid is None or os.waitpid(child.pid, os.WNOHANG)[0] == 0:
                continue
            pid, child.pid = child.pid, None
            self._drop_pipe(child)
            if self._is_stopping:
                continue
            if child.kill_at_s is not None:
                self._children.remove(child)
                self._report(ServerEvent(child.name, pid, "", "down"))
                continue
            child.plan_restart(time.monotonic())
            if not child.is_known_down:
                child.is_known_down = True
                self._report(ServerEvent(child.name, pid, "", "down"))

    def _stop_all(self) -> None:
        deadline_s = time.monotonic() + STOP_GRACE_S
        self._signal_all(signal.SIGTERM)
        while self._is_any_alive() and time.monotonic() < deadline_s:
            self._wait(max(0.0, deadline_s - time.monotonic()))
            self._reap()
        self._signal_all(signal.SIGKILL)
        for child in self._children:
            if child.pid is not None:
                os.waitpid(child.pid, 0)
        signal.set_wakeup_fd(-1)
        self._close_pipes()

    def _is_any_alive(self) -> bool:
        return any(child.pid is not None for child in self._children)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid is not None:
                os.kill(child.pid, number)


def _wake_only(number: int, frame: object) -> None:
    """A handler must exist for the wake-up pipe to get the number; `_wait` does the work."""
