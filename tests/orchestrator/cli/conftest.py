import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.warm import run

CHECKOUT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@dataclass
class Terminal:
    """Runs `flotilla` in an empty folder, with a data folder and a port of its own."""

    folder: Path
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        return {
            **kept,
            "PYTHONPATH": str(CHECKOUT),
            "FLOTILLA_DATA_DIR": str(self.folder / "data"),
            "FLOTILLA_LOGS_DIR": str(self.folder / "logs"),
            "FLOTILLA_PORT": str(self.port),
            "OPENROUTER_API_KEY": "sk-nobody",
            "OPENROUTER_BASE_URL": "http://127.0.0.1:9/api/v1",
            **self.extra,
        }

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orchestrator", *arguments]
        return run(command, cwd=self.folder, environment=self.environment, timeout_s=30)

    def start(self, *arguments: str) -> "Running":
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return Running(process)


@dataclass
class Running:
    process: subprocess.Popen[str]
    output: str = ""

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read lines until one matches; the test's own time limit bounds it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} was not in:\n{self.output}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Return how many seconds the process took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.output += self.process.communicate(timeout=20)[0]
        return time.monotonic() - began


@pytest.fixture
def terminal(tmp_path: Path) -> Generator[Terminal]:
    opened = Terminal(tmp_path)
    yield opened
    for process in opened.processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def no_server_enabled() -> str:
    """A document that knows all servers and enables none."""
    listed = subprocess.run(
        [sys.executable, "-m", "servers", "list", "--json"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    servers = [
        {"id": server["name"], "url": server["url"], "enabled": False, "trust": "fleet"}
        for server in json.loads(listed.stdout)
    ]
    return json.dumps({"version": 1, "servers": servers})


@pytest.fixture
def idle_fleet(terminal: Terminal, no_server_enabled: str) -> None:
    """Run no server: their ports are fixed, and others may test them now."""
    folder = terminal.folder / "data"
    folder.mkdir()
    (folder / "mcp_servers.json").write_text(no_server_enabled)


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status


def wait_until_dead(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def get(address: str) -> int:
    return httpx2.get(address, verify=False, trust_env=False).status_code
