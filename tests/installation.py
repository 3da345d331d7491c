"""A whole installation in a temporary folder: the real orchestrator and what it talks to."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import executable

import httpx2

from tests.processes import ROOT, Program, started

READY_TIMEOUT_S = 20.0


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Installation:
    """One data folder and the orchestrator that works on it; it can be killed and started again."""

    folder: Path
    model_url: str
    model: str = "flotilla/practice"
    servers: Sequence[Mapping[str, object]] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ()
    """A command that ends by becoming the orchestrator, whose own command follows."""
    port: int = field(default_factory=free_port)
    program: Program | None = None

    def __post_init__(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        document = {"version": 1, "servers": list(self.servers)}
        (self.data_dir / "mcp_servers.json").write_text(json.dumps(document))

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.data_dir / "tokens" / "cli").read_text().strip()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def start(self) -> None:
        """Start the orchestrator and wait until it takes messages."""
        environment = {
            "FLOTILLA_DATA_DIR": str(self.data_dir),
            "FLOTILLA_LOGS_DIR": str(self.folder / "logs"),
            "FLOTILLA_PORT": str(self.port),
            "OPENROUTER_BASE_URL": self.model_url,
            "OPENROUTER_API_KEY": "sk-or-test",
            "OPENROUTER_DEFAULT_MODEL": self.model,
            "NO_PROXY": "127.0.0.1",
            "FLOTILLA_PRIVATE_SERVER_HOSTS": "127.0.0.1",
            **self.more,
        }
        command = (*self.wrapper, executable, "-m", "orchestrator", "serve")
        self.program = Program(command, ROOT, environment)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Poll the readiness route. Raises TimeoutError with what the process printed."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        with httpx2.Client(base_url=self.url, verify=False, trust_env=False) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx2.TransportError):
                    if client.get("/health/ready").status_code == 200:
                        return
                time.sleep(0.02)
        raise TimeoutError(f"not ready: {self.program.output if self.program else ''}")

    def kill(self) -> None:
        """End the process as a power failure would."""
        assert self.program is not None
        self.program.process.kill()
        self.program.stop()

    def stop(self) -> int:
        """End the process as an operator would; return its exit code."""
        assert self.program is not None
        return self.program.stop()

    def resident_bytes(self) -> int:
        """Return the resident memory of the orchestrator."""
        assert self.program is not None
        pages = Path(f"/proc/{self.program.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def practice_model(*options: str) -> Iterator[str]:
    """Run the practice model on a free port; gives its base URL."""
    command = (executable, "-m", "orchestrator.practice", "--port", "0", *options)
    with started(*command, ready=r"http://\S+") as (_, match):
        yield match[0]


@contextlib.contextmanager
def running(installation: Installation) -> Iterator[Installation]:
    """Run the orchestrator until the block ends."""
    try:
        installation.start()
        yield installation
    finally:
        if installation.program is not None:
            installation.stop()
