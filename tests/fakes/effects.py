"""Starts the effects server as a real process and reads what it did."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

from orchestrator.approvals.grants import GrantKeys, GrantScope
from servers.kit.token import token_file
from tests.fakes.effects_server import NAME
from tests.warm import ROOT, WarmProcess, spawn

STOP_LIMIT_S = 10


class Effect(NamedTuple):
    """One thing that happened."""

    tool: str
    arguments: dict[str, Any]


@dataclass
class EffectsServer:
    """The running server; its port, token and data stay the same over restarts."""

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    port: int = 0
    process: subprocess.Popen[str] | WarmProcess = field(init=False)

    @property
    def name(self) -> str:
        return NAME

    @property
    def effects_file(self) -> Path:
        return self.data_dir / "effects.txt"

    @property
    def log(self) -> Path:
        return self.data_dir / "effects.log"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    @property
    def token(self) -> str:
        return (self.data_dir / token_file(NAME)).read_text(encoding="ascii")

    def start(self) -> None:
        with self.log.open("a", encoding="utf-8") as stderr:
            self.process = spawn(
                [*self._command(), "--port", str(self.port)],
                cwd=ROOT,
                environment=self._environment(),
                stderr=stderr.fileno(),
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended before it was ready:\n{self.log.read_text(encoding='utf-8')}"
        self.port = int(json.loads(line)["url"].rpartition(":")[2].removesuffix("/mcp"))

    def kill(self) -> None:
        """End it as a crash does: SIGKILL."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Ask it to end; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self._reap()

    def restart(self) -> None:
        """SIGKILL, then a new process on the same port with the same data."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def effects(self, tool: str | None = None) -> list[Effect]:
        """What happened so far, of all tools or of one, oldest first."""
        return read_effects(self.effects_file, tool)

    def client(
        self, mode: Literal["auto", "legacy"] = "auto", **options: Any
    ) -> Client[StreamableHttpTransport]:
        """A client over HTTP; `options` are those of `fastmcp.Client`."""
        return Client(StreamableHttpTransport(self.url, auth=self.token), mode=mode, **options)

    def stdio_client(
        self, mode: Literal["auto", "legacy"] = "auto", **options: Any
    ) -> Client[StdioTransport]:
        """A client that starts a process of its own with the same data."""
        command, *arguments = [*self._command(), "--stdio"]
        transport = StdioTransport(
            command, arguments, env=self._environment(), cwd=str(ROOT), keep_alive=False
        )
        return Client(transport, mode=mode, **options)

    def _command(self) -> list[str]:
        module = ["-m", "tests.fakes.effects_server"]
        return [sys.executable, *module, "--effects", str(self.effects_file)]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "FLOTILLA_DATA_DIR": str(self.data_dir), **self.environment}

    def _reap(self) -> int:
        code = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def granted(
    data_dir: Path,
    tool: str,
    arguments: Mapping[str, Any],
    call_id: str = "call_1",
    *,
    scope: GrantScope = "once",
    by: str = "web",
    grant_id: str = "grant_1",
    account: str | None = None,
    **meta: Any,
) -> dict[str, Any]:
    """The `_meta` with which the orchestrator sends a call that its owner approved."""
    grant = GrantKeys(data_dir).mint(
        NAME, tool, owner="owner", call_id=call_id, arguments=arguments, scope=scope, by=by,
        grant_id=grant_id, account=account,
    )  # fmt: skip
    return {
        "flotilla/call_id": call_id,
        "flotilla/grant": grant,
        "flotilla/approvals": "caller",
        **{f"flotilla/{name}": value for name, value in meta.items()},
    }


def read_effects(file: Path, tool: str | None = None) -> list[Effect]:
    """The lines of an effects file."""
    if not file.exists():
        return []
    lines = [line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines()]
    found = [Effect(name, json.loads(arguments)) for name, arguments in lines]
    return [effect for effect in found if tool in (None, effect.tool)]


@contextmanager
def running_effects(
    data_dir: Path, environment: Mapping[str, str] | None = None
) -> Iterator[EffectsServer]:
    """The effects server until the block ends, with its state in `data_dir`."""
    server = EffectsServer(data_dir, environment or {})
    server.start()
    try:
        yield server
    finally:
        server.stop()
