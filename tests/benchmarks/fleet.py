"""A fleet of servers of the real kit, each in its own process, with as many tools as wanted.

`python -m tests.benchmarks.fleet 100 10 10` runs three, of 100, 10 and 10 tools, under the kit's
own supervisor. The first tool of each is `echo`.
"""

import argparse
import json
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from sys import executable
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from servers.kit.manifest import Manifest
from servers.kit.preload import preload
from servers.kit.serve import serve
from servers.kit.server import FleetServer
from servers.kit.settings import KitSettings
from servers.kit.supervisor import OnReady, ServerEvent, Supervisor
from servers.kit.token import token_file
from tests.benchmarks.wire import http_request
from tests.processes import ROOT, started
from tests.servers.kit.raw import raw_request

START_LIMIT_S = 60.0


class Echo(BaseModel):
    """What was said."""

    text: str


@dataclass(frozen=True)
class Server:
    """A running server, and what is needed to call it."""

    id: str
    pid: int
    url: str
    data_dir: Path

    @property
    def token_file(self) -> str:
        return str(token_file(self.id))

    @property
    def entry(self) -> Mapping[str, object]:
        """Return its place in `mcp_servers.json`."""
        return {"id": self.id, "url": self.url, "token_file": self.token_file, "trust": "fleet"}

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "data_dir": str(self.data_dir)}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self:
        return cls(entry["id"], entry["pid"], entry["url"], Path(entry["data_dir"]))

    def call_request(self, tool: str, arguments: Mapping[str, object]) -> bytes:
        """Return the bytes of a call as the cheapest possible client sends it."""
        request = raw_request("tools/call", tool, arguments)
        token = (self.data_dir / self.token_file).read_text().strip()
        headers = {**request["headers"], "Authorization": f"Bearer {token}"}
        return http_request("POST", self.url, request["json"], headers)


@contextmanager
def running_fleet(data_dir: Path, tool_counts: Sequence[int]) -> Generator[list[Server]]:
    """Run servers with so many tools each; `data_dir` gets their tokens."""
    data_dir.mkdir(parents=True, exist_ok=True)
    command = (executable, "-m", "tests.benchmarks.fleet", *map(str, tool_counts))
    environment = {"FLOTILLA_DATA_DIR": str(data_dir)}
    ready = rf"{_name(len(tool_counts) - 1)} "
    with started(*command, ready=ready, environment=environment, timeout_s=START_LIMIT_S) as (
        program,
        _,
    ):
        servers: list[Server] = []
        for number in range(len(tool_counts)):
            match = program.wait_for(rf"{_name(number)} (\d+) (http\S+?/mcp)", START_LIMIT_S)
            servers.append(Server(_name(number), int(match[1]), match[2], data_dir))
        yield servers


def listed_fleet() -> list[dict[str, Any]]:
    """Return the servers of this checkout, as `python -m servers list --json` has them."""
    command = [executable, "-m", "servers", "list", "--json"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def _name(number: int) -> str:
    return f"bench{number:02}"


def _tool_names(count: int) -> list[str]:
    return ["echo", *(f"search_things_{number:03}" for number in range(1, count))]


def _server(name: str, tools: int) -> FleetServer[None]:
    manifest = Manifest.model_validate(
        {
            "name": name,
            "title": name.capitalize(),
            "description": "For benchmarks.",
            "port": 9999,
            "tier": "bronze",
            "tools": {tool: {"labels": ["read"]} for tool in _tool_names(tools)},
        }
    )
    server: FleetServer[None] = FleetServer(manifest, instructions="For benchmarks.")
    for tool in _tool_names(tools):
        server.fleet_tool(_tool(tool))
    return server


def _tool(name: str) -> Callable[..., Echo]:
    def tool(
        text: Annotated[str, Field(description="What to say back, at most 2,000 characters.")],
        limit: Annotated[int, Field(description="How many to return.", ge=1, le=50)] = 10,
        cursor: Annotated[str | None, Field(description="Where the last page ended.")] = None,
    ) -> Echo:
        """Say the text back. Use it to find out whether this server answers, and how fast."""
        return Echo(text=text)

    tool.__name__ = name
    return tool


def _run(name: str, tools: int, on_ready: OnReady) -> None:
    settings = KitSettings(server_port=0, log_level="WARNING")
    serve(_server(name, tools), settings, on_ready=on_ready)


def _report(event: ServerEvent) -> None:
    print(f"{event.server} {event.pid} {event.url or event.state}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", type=int, nargs="+", help="of each server, `echo` included")
    counts = parser.parse_args().tools
    preload()
    servers = {_name(n): partial(_run, _name(n), tools) for n, tools in enumerate(counts)}
    Supervisor(servers, _report).run()


if __name__ == "__main__":
    main()
