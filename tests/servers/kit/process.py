"""A server as a real process on a port of its own.

In memory no help is needed: `async with fastmcp.Client(mcp) as client` runs the lifespan too.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from servers.kit.token import token_file
from tests.warm import ROOT, WarmProcess, spawn

STOP_LIMIT_S = 10


@dataclass(frozen=True)
class ServerProcess:
    """A running server and what is needed to talk to it."""

    process: subprocess.Popen[str] | WarmProcess
    url: str
    token: str
    log: Path

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    def client(self, mode: Literal["auto", "legacy"] = "auto") -> Client[StreamableHttpTransport]:
        return Client(StreamableHttpTransport(self.url, auth=self.token), mode=mode)


@contextmanager
def running_server(
    name: str, data_dir: Path, environment: Mapping[str, str] | None = None
) -> Generator[ServerProcess]:
    """The named server of the fleet, stopped by SIGTERM at the end."""
    command = [sys.executable, "-m", "servers", "run", name, "--port", "0", "--json"]
    with running_program(command, name, data_dir, environment) as server:
        yield server


@contextmanager
def running_program(
    command: Sequence[str],
    name: str,
    data_dir: Path,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> Generator[ServerProcess]:
    """A program that serves `name` and prints one ready line in JSON, as `run --json` does."""
    log = data_dir / f"{name}.log"
    with log.open("a", encoding="utf-8") as stderr:
        variables = {**os.environ, "FLOTILLA_DATA_DIR": str(data_dir), **(environment or {})}
        process = spawn(command, cwd=cwd, environment=variables, stderr=stderr.fileno())
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{name} ended before it was ready:\n{log.read_text(encoding='utf-8')}"
        token = (data_dir / token_file(name)).read_text(encoding="ascii")
        yield ServerProcess(process, json.loads(line)["url"], token, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
