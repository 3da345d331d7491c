"""The whole house without a key or a network: two servers, the practice model, the orchestrator."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from sys import executable
from typing import Any

import httpx2
import pytest

from tests.installation import Installation, free_port, practice_model, running
from tests.servers.kit.process import ServerProcess, running_program, running_server

CALL_TIMEOUT_S = 2.0


@dataclass
class Answer:
    """What came back for one message."""

    events: list[tuple[str, dict[str, Any]]]

    @property
    def text(self) -> str:
        return "".join(data["text"] for kind, data in self.events if kind == "text_delta")

    @property
    def calls(self) -> dict[str, tuple[str, str | None]]:
        """Status and error by tool."""
        tools = {
            data["tool_call_id"]: data["tool"]
            for kind, data in self.events
            if kind == "tool_call_started"
        }
        return {
            tools[data["tool_call_id"]]: (data["status"], data["error"])
            for kind, data in self.events
            if kind == "tool_call_finished"
        }

    @property
    def session_id(self) -> str:
        return self.events[0][1]["session_id"]


@dataclass
class House:
    """A running installation with its servers."""

    installation: Installation
    servers: dict[str, ServerProcess]
    http: httpx2.Client
    stack: ExitStack

    def restart(self, server: str) -> None:
        """Start a server that was killed again, on its port."""
        port = self.servers[server].url.partition("127.0.0.1:")[2].partition("/")[0]
        command = [executable, "-m", "servers", "run", server, "--port", port, "--json"]
        started = running_program(command, server, self.installation.data_dir)
        self.servers[server] = self.stack.enter_context(started)

    def ask(self, message: str, session_id: str | None = None) -> Answer:
        body = {"message": message, "session_id": session_id}
        response = self.http.post("/api/chat/stream", json=body)
        assert response.status_code == 200, response.text
        events = []
        for frame in response.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in frame.splitlines() if line[:1] != ":")
            if fields:
                events.append((fields["event"], json.loads(fields["data"])))
        return Answer(events)

    def state(self, server: str) -> str:
        items = self.http.get("/api/mcp/servers").json()["items"]
        return next(item["state"] for item in items if item["id"] == server)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    data_dir = folder / "data"
    data_dir.mkdir()
    port = free_port()
    environment = {"HOUSEKEEPING_ORCHESTRATOR_URL": f"http://127.0.0.1:{port}"}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(running_server(name, data_dir, environment))
            for name in ("calculator", "housekeeping")
        }
        model_url = stack.enter_context(practice_model("--pace-ms", "0"))
        configs = [_config(name, server.url) for name, server in servers.items()]
        installation = Installation(folder, model_url, servers=configs, port=port)
        stack.enter_context(running(installation))
        client = httpx2.Client(
            base_url=installation.url, headers=installation.bearer, timeout=20, trust_env=False
        )
        yield House(installation, servers, stack.enter_context(client), stack)


def _config(name: str, url: str) -> dict[str, object]:
    token = {"token_file": f"tokens/{name}", "call_timeout_s": CALL_TIMEOUT_S}
    return {"id": name, "title": name.title(), "url": url, **token, "trust": "fleet"}
