"""Servers switched on and off while `flotilla up` runs: process, state and tools follow."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from sys import executable
from typing import Any

import httpx2
import pytest

from tests.processes import ROOT, Program
from tests.walk.own_network import UNSHARED

PORT = "8000"
READY_TIMEOUT_S = 60.0
LIMIT_S = 30.0

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


@dataclass
class Flotilla:
    """`flotilla up` in a network of its own, where the fixed ports of the servers are free."""

    folder: Path
    stack: ExitStack
    whole: dict[str, Any] = field(default_factory=dict)
    """The document of the first start."""

    @property
    def document(self) -> Path:
        return self.folder / "data" / "mcp_servers.json"

    def start(self) -> None:
        address = self.folder / "up.sock"
        address.unlink(missing_ok=True)
        up = (executable, "-m", "orchestrator", "up")
        within = (*UNSHARED, executable, "-m", "tests.walk.own_network", str(address), PORT, *up)
        environment = {
            "PYTHONPATH": str(ROOT),
            "FLOTILLA_DATA_DIR": str(self.folder / "data"),
            "FLOTILLA_LOGS_DIR": str(self.folder / "logs"),
            "FLOTILLA_PORT": PORT,
            "OPENROUTER_API_KEY": "",
            "OPENROUTER_BASE_URL": "",
        }
        self.program = Program(within, self.folder, environment)
        self.program.wait_for("Ctrl-C stops everything", READY_TIMEOUT_S)
        token = (self.folder / "data" / "tokens" / "cli").read_text().strip()
        self.http = httpx2.Client(
            base_url=f"http://127.0.0.1:{PORT}",
            transport=httpx2.HTTPTransport(uds=str(address)),
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )

    def stop(self) -> int:
        self.http.close()
        return self.program.stop(10)

    def write(self, document: dict[str, Any]) -> None:
        self.document.write_text(json.dumps(document))

    def servers(self) -> dict[str, dict[str, Any]]:
        items = self.http.get("/api/mcp/servers").json()["items"]
        return {item["id"]: item for item in items}

    def tools(self) -> set[str]:
        """The servers whose tools can be called."""
        items = self.http.get("/api/mcp/tools").json()["items"]
        return {item["server"] for item in items if item["available"]}

    def has(self, server: str, state: str) -> bool:
        return server in self.servers() and self.servers()[server]["state"] == state

    def listens(self, port: int) -> bool:
        """Tell whether a process of its network listens on the port."""
        rows = Path(f"/proc/{self.program.pid}/net/tcp").read_text().splitlines()[1:]
        listening = "0A"
        return any(
            row.split()[1].endswith(f":{port:04X}") and row.split()[3] == listening for row in rows
        )

    def calculates(self) -> bool:
        answer = self.http.post(
            "/api/mcp/tools/calculator__evaluate/call", json={"arguments": {"expression": "2+40"}}
        )
        return answer.status_code == 200 and "42" in answer.text

    def whole_again(self) -> None:
        self.write(self.whole)
        wait_until(lambda: self.has("calculator", "ready") and self.has("housekeeping", "ready"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flotilla]:
    with ExitStack() as stack:
        flotilla = Flotilla(tmp_path_factory.mktemp("up"), stack)
        flotilla.start()
        try:
            flotilla.whole = json.loads(flotilla.document.read_text())
            yield flotilla
        finally:
            flotilla.stop()


@pytest.fixture
def flotilla(running: Flotilla) -> Flotilla:
    running.whole_again()
    return running


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until it is so. Raises AssertionError after LIMIT_S."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def without(document: dict[str, Any], server: str) -> dict[str, Any]:
    kept = [entry for entry in document["servers"] if entry["id"] != server]
    return {**document, "servers": kept}


def switched(document: dict[str, Any], server: str, *, on: bool) -> dict[str, Any]:
    servers = [
        {**entry, "enabled": on} if entry["id"] == server else entry
        for entry in document["servers"]
    ]
    return {**document, "servers": servers}


def port_of(flotilla: Flotilla, server: str) -> int:
    return httpx2.URL(flotilla.servers()[server]["url"]).port or 0


def test_an_edit_by_hand_ends_and_starts_the_process_of_a_server(flotilla: Flotilla) -> None:
    port, other = port_of(flotilla, "calculator"), port_of(flotilla, "housekeeping")
    assert flotilla.listens(port)
    flotilla.write(switched(flotilla.whole, "calculator", on=False))
    wait_until(lambda: flotilla.has("calculator", "disabled"))
    wait_until(lambda: not flotilla.listens(port))
    assert flotilla.tools() == {"housekeeping"}
    assert flotilla.listens(other)
    assert not flotilla.calculates()
    flotilla.write(switched(flotilla.whole, "calculator", on=True))
    wait_until(lambda: flotilla.has("calculator", "ready"))
    assert flotilla.listens(port)
    assert flotilla.tools() == {"calculator", "housekeeping"}
    assert flotilla.calculates()


def test_a_switch_of_the_api_does_the_same(flotilla: Flotilla) -> None:
    port = port_of(flotilla, "calculator")
    path = "/api/mcp/servers/calculator"
    assert flotilla.http.patch(path, json={"enabled": False}).json()["state"] == "disabled"
    wait_until(lambda: not flotilla.listens(port))
    assert flotilla.http.patch(path, json={"enabled": True}).status_code == 200
    wait_until(lambda: flotilla.has("calculator", "ready"))
    assert flotilla.calculates()


def test_a_server_that_was_removed_stays_away_at_the_next_start(flotilla: Flotilla) -> None:
    port = port_of(flotilla, "calculator")
    flotilla.write(without(flotilla.whole, "calculator"))
    wait_until(lambda: "calculator" not in flotilla.servers())
    wait_until(lambda: not flotilla.listens(port))
    assert flotilla.stop() == 0
    flotilla.start()
    wait_until(lambda: flotilla.has("housekeeping", "ready"))
    assert "calculator" not in flotilla.servers()
    assert not flotilla.listens(port)
    assert "calculator" not in flotilla.program.output


@pytest.mark.parametrize("broken", ['{"version": 1, "servers": [', '{"version": 1, "servers": 5}'])
def test_a_corrupt_edit_is_set_aside_and_changes_nothing(flotilla: Flotilla, broken: str) -> None:
    # The server that is off tells what was in force from what was written before it.
    edited = switched(flotilla.whole, "housekeeping", on=False)
    flotilla.write(edited)
    wait_until(lambda: flotilla.has("housekeeping", "disabled"))
    said = flotilla.program.output
    aside_before = set(flotilla.document.parent.glob("*.corrupt-*"))
    flotilla.document.write_text(broken)
    wait_until(lambda: bool(set(flotilla.document.parent.glob("*.corrupt-*")) - aside_before))
    wait_until(lambda: bool(flotilla.http.get("/api/mcp/servers").json()["problems"]))
    (aside,) = set(flotilla.document.parent.glob("*.corrupt-*")) - aside_before
    assert aside.read_text() == broken
    assert flotilla.has("calculator", "ready")
    assert flotilla.has("housekeeping", "disabled")
    assert json.loads(flotilla.document.read_text())["servers"] == edited["servers"]
    assert flotilla.calculates()
    assert flotilla.program.output == said
