"""Starts and stops fake MCP servers as real processes on ephemeral ports of 127.0.0.1."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.warm import ROOT, WarmProcess, spawn


@dataclass
class ServerProcess:
    """A running fake; `kill`, `freeze` and `restart` do to it what life does to servers."""

    arguments: list[str]
    journal: Path | None = None
    port: int = 0
    process: subprocess.Popen[str] | WarmProcess = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def url_of(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    @property
    def url(self) -> str:
        return self.url_of("mcp")

    def start(self, *more: str) -> None:
        port = ["--port", str(self.port)] if self.port else []
        command = [sys.executable, "-m", *self.arguments, *port, *more]
        self.process = spawn(command, cwd=ROOT, environment=os.environ, stderr=2)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def restart(self, *more: str) -> None:
        self.kill()
        self.start(*more)

    def journal_lines(self) -> list[str]:
        if self.journal is None or not self.journal.exists():
            return []
        return self.journal.read_text().splitlines()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def toy_server(journal: Path, *options: str) -> Iterator[ServerProcess]:
    """Run a real FastMCP server; see `mcp_toy_server` for its options and tools."""
    arguments = ["tests.fakes.mcp_toy_server", "--journal", str(journal), *options]
    server = ServerProcess(arguments, journal)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def hostile_server() -> Iterator[ServerProcess]:
    """Run a server that misbehaves; the path names one of the modes of `mcp_hostile_server`."""
    server = ServerProcess(["tests.fakes.mcp_hostile_server"])
    try:
        yield server
    finally:
        server.stop()


def closed_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
