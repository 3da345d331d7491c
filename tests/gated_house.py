"""A whole house around the gate: orchestrator, effects server, and a model that does as told."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.openrouter import FakeOpenRouter, running_fake
from tests.installation import Installation, free_port, running
from tests.servers.kit.raw import raw_request

MODEL = "fake/told"
READY_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 5.0

Call = tuple[str, Mapping[str, Any]]
"""Name of a tool of the effects server, and arguments."""


def told(*rounds: Sequence[Call]) -> str:
    """Return the message that makes the model call these tools, round by round."""
    return json.dumps([[[f"effects__{name}", args] for name, args in calls] for calls in rounds])


def raw_call(
    server: EffectsServer, tool: str, arguments: Mapping[str, Any], **meta: object
) -> dict[str, Any]:
    """Return the result of a call by a client that can neither grant nor elicit.

    `meta` has the last parts of keys of `_meta`: `call_id="..."`.
    """
    request = raw_request("tools/call", tool, arguments)
    request["json"]["params"]["_meta"] |= {f"flotilla/{key}": meta[key] for key in meta}
    headers = {**request["headers"], "Authorization": f"Bearer {server.token}"}
    with httpx2.Client(timeout=20, trust_env=False) as http:
        answer = http.post(server.url, json=request["json"], headers=headers)
    return answer.json()["result"]


def error_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return the structured error of a call that the gate refused."""
    assert result.get("isError"), result
    return result["structuredContent"]["error"]


def audit_rows(server: EffectsServer) -> list[dict[str, Any]]:
    """Return the audit rows of a server, oldest first."""
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx2.Client(trust_env=False) as http:
        url = f"{server.origin}/audit?after=0&limit=200"
        return http.get(url, headers=headers).json()["items"]


def ledger_of(server: EffectsServer) -> Path:
    """Return where a server keeps journal, tickets and audit."""
    return server.data_dir / "servers" / server.name / "gate.db"


class LiveTurn:
    """A turn that is followed in the background, as a browser tab does."""

    def __init__(self, client: httpx2.Client, path: str, body: Mapping[str, Any]) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._came = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._read, args=(client, path, body))
        self._thread.start()

    def wait_for(self, kind: str, number: int = 1, timeout_s: float = 20) -> dict[str, Any]:
        """Return the data of the event that is `number` of its kind. Raises AssertionError."""
        with self._came:
            assert self._came.wait_for(
                lambda: self._is_over or len(self.all_of(kind)) >= number, timeout_s
            ), f"no {kind}: {self.events}"
            found = self.all_of(kind)
            assert len(found) >= number, f"ended without {kind}: {self.events}"
            return found[number - 1]

    def finish(self) -> "LiveTurn":
        """Wait for the end of the stream."""
        self._thread.join(20)
        assert not self._thread.is_alive(), f"still runs: {self.events}"
        return self

    @property
    def turn_id(self) -> str:
        return self.wait_for("turn_started")["turn_id"]

    @property
    def session_id(self) -> str:
        return self.wait_for("turn_started")["session_id"]

    def all_of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == kind]

    def _read(self, client: httpx2.Client, path: str, body: Mapping[str, Any]) -> None:
        try:
            with client.stream("POST", path, json=body) as response:
                fields: dict[str, str] = {}
                for line in response.iter_lines():
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    if not line and "event" in fields:
                        with self._came:
                            self.events.append((fields["event"], json.loads(fields["data"])))
                            self._came.notify_all()
                        fields = {}
        except httpx2.TransportError:
            pass  # The orchestrator was killed.
        finally:
            with self._came:
                self._is_over = True
                self._came.notify_all()


@dataclass
class GatedHouse:
    """A running house; both of its programs can be killed and started again."""

    installation: Installation
    effects: EffectsServer
    fake: FakeOpenRouter
    _clients: ExitStack = field(default_factory=ExitStack)

    def say(self, *rounds: Sequence[Call], **more: object) -> LiveTurn:
        """Let the model make these calls, round by round; `more` goes into the request."""
        client = self._clients.enter_context(self.client())
        body = {"message": told(*rounds), **more}
        return LiveTurn(client, "/api/chat/stream", body)

    def pending(self) -> list[dict[str, Any]]:
        """Return the approvals that wait for the owner, newest first."""
        return self.ask("GET", "/api/approvals?state=pending").json()["items"]

    def approve(self, approval_id: str, **body: Any) -> httpx2.Response:
        return self.ask("POST", f"/api/approvals/{approval_id}/approve", body)

    def deny(self, approval_id: str, **body: Any) -> httpx2.Response:
        return self.ask("POST", f"/api/approvals/{approval_id}/deny", body)

    def outcome(self, approval_id: str) -> str | None:
        """Return how the call ended that ran on an approval; None while it has not."""
        outcome = self.ask("GET", f"/api/approvals/{approval_id}").json()["outcome"]
        return outcome and outcome["status"]

    def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Ask the HTTP API once, as the owner."""
        with self.client() as http:
            return http.request(method, path, json=body)

    def client(self) -> httpx2.Client:
        """Return a client of the HTTP API, signed in as the owner."""
        return httpx2.Client(
            base_url=self.installation.url,
            headers=self.installation.bearer,
            timeout=20,
            trust_env=False,
            verify=False,
        )

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so. Raises TimeoutError."""
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if is_so():
                return
            time.sleep(0.02)
        raise TimeoutError

    def wait_until_connected(self) -> None:
        """Wait until the orchestrator reaches the effects server. Raises TimeoutError."""
        with self.client() as http:
            self.wait_until(
                lambda: http.get("/api/mcp/servers").json()["items"][0]["state"] == "ready"
            )


@contextmanager
def gated_house(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[GatedHouse]:
    """Run both programs until the block ends; `environment` goes to both."""
    port = free_port()
    more = dict(environment or {})
    with ExitStack() as stack:
        fake = stack.enter_context(running_fake())
        data_dir = folder / "data"
        data_dir.mkdir()
        url = f"http://127.0.0.1:{port}"
        effects = stack.enter_context(
            running_effects(data_dir, {"FLOTILLA_ORCHESTRATOR_URL": url, **more})
        )
        config = {
            "id": effects.name,
            "title": "Effects",
            "url": effects.url,
            "trust": "fleet",
            "token_file": f"tokens/{effects.name}",
            "call_timeout_s": CALL_TIMEOUT_S,
        }
        house = GatedHouse(
            Installation(folder, fake.base_url, MODEL, [config], more, port=port), effects, fake
        )
        stack.enter_context(house._clients)
        stack.enter_context(running(house.installation))
        house.wait_until_connected()
        yield house
