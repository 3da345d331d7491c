"""A whole house around a fake Google: orchestrator, its three servers, and a model that plans."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.google import FakeGoogle
from tests.fakes.openrouter import served
from tests.fakes.openrouter_plans import MODEL, Plan, PlanningModel
from tests.gated_house import LiveTurn
from tests.installation import Installation, free_port, running
from tests.servers.kit.process import ServerProcess, running_server

ANNA = "anna@example.org"
SERVERS = ("gmail", "google_calendar", "google_tasks")
ZONE = "Europe/Berlin"
_WAIT_S = 20.0
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"
_ALL = 'SELECT * FROM "{}"'


@dataclass
class GoogleHouse:
    """A running house in which nobody has signed in yet."""

    installation: Installation
    google: FakeGoogle
    model: PlanningModel
    servers: dict[str, ServerProcess]
    _clients: ExitStack = field(default_factory=ExitStack)

    def follow(self, message: str, plan: Plan, **more: object) -> LiveTurn:
        """Say something, upon which the model follows a plan."""
        self.model.plan(message, plan)
        client = self._clients.enter_context(self.client())
        return LiveTurn(client, "/api/chat/stream", {"message": message, **more})

    def approve(self, turn: LiveTurn, number: int = 1) -> dict[str, Any]:
        """Approve what a turn asks for as its `number`th; returns what was shown."""
        asked = turn.wait_for("approval_requested", number)
        answer = self.ask("POST", f"/api/approvals/{asked['approval_id']}/approve", {})
        assert answer.status_code == 200, answer.text
        return asked

    def deny(self, turn: LiveTurn, number: int = 1) -> dict[str, Any]:
        """Deny what a turn asks for as its `number`th; returns what was shown."""
        asked = turn.wait_for("approval_requested", number)
        answer = self.ask("POST", f"/api/approvals/{asked['approval_id']}/deny", {})
        assert answer.status_code == 200, answer.text
        return asked

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
        )

    @contextmanager
    def browser(self) -> Iterator[httpx2.Client]:
        """Return a browser in which the owner is signed in; follows redirects, also to Google."""
        link = self.ask("POST", "/api/auth/links").json()
        code = link["code"]
        base = self.installation.url
        with httpx2.Client(
            base_url=base, timeout=20, trust_env=False, follow_redirects=True
        ) as http:
            signed_in = http.post(
                "/api/auth/sign-in", json={"code": code}, headers={"Origin": base}
            )
            assert signed_in.status_code == 204, signed_in.text
            yield http

    def sign_in(self, server: str, *capabilities: str, account: str = ANNA) -> None:
        """Sign in to a server's account, by pasting the address that Google leads to."""
        path = f"/api/accounts/{server}/sign-ins"
        wanted = {"capabilities": list(capabilities), "account": account}
        begun = self.ask("POST", path, wanted).json()
        with httpx2.Client(trust_env=False) as http:
            back = http.get(begun["url"]).headers["location"]
        done = self.ask("POST", f"{path}/complete", {"address": back})
        assert done.status_code == 200, done.text

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so. Raises TimeoutError."""
        deadline_s = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline_s:
            if is_so():
                return
            time.sleep(0.02)
        raise TimeoutError

    def states(self) -> dict[str, str]:
        """Return how each server is doing."""
        items = self.ask("GET", "/api/mcp/servers").json()["items"]
        return {item["id"]: item["state"] for item in items}

    def secrets(self) -> set[str]:
        """Return what Google gave, or was given, and nobody else may see."""
        return secrets_of(self.google, "state")

    def left_behind(self) -> dict[str, str]:
        """Return all that is on the disk or was printed, by file; databases as rows as well."""
        assert self.installation.program is not None
        found = files_under(self.installation.folder)
        return {**found, "output": self.installation.program.output}


def secrets_of(google: FakeGoogle, *more: str) -> set[str]:
    """Return what a server and Google gave each other, with `more` parameters of sign-ins."""
    oauth = google.oauth
    kinds = ("code", "code_verifier", "refresh_token", "client_secret", "token", *more)
    seen = {one.parameters[k] for one in oauth.requests for k in kinds if k in one.parameters}
    return {*seen, *oauth._access, *oauth._refresh, oauth.client_secret}


def files_under(folder: Path) -> dict[str, str]:
    """Return the content of all files in a folder, by path; of databases the rows as well."""
    found: dict[str, str] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            name = str(file.relative_to(folder))
            found[name] = file.read_bytes().decode("latin-1")
            if file.suffix == ".db":
                found[f"{name} (rows)"] = _rows(file)
    return found


def _rows(file: Path) -> str:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute(_TABLES)]
        return "\n".join(str(row) for name in tables for row in database.execute(_ALL.format(name)))


def results(turn: LiveTurn) -> list[tuple[str, str | None]]:
    """Return status and error code of each call that ended, in order."""
    return [(one["status"], one.get("error_code")) for one in turn.all_of("tool_call_finished")]


def said(turn: LiveTurn) -> str:
    """Return what the model answered."""
    return "".join(one["text"] for one in turn.all_of("text_delta"))


@contextmanager
def google_house(folder: Path, more: Mapping[str, str] | None = None) -> Iterator[GoogleHouse]:
    """Run all its programs until the block ends."""
    port = free_port()
    with ExitStack() as stack:
        google = stack.enter_context(FakeGoogle())
        google.person(ANNA)
        google.oauth.chosen = ANNA
        model = stack.enter_context(served(PlanningModel()))
        data_dir = folder / "data"
        data_dir.mkdir()
        common = {"FLOTILLA_VAULT_KEY_FILE": str(folder / "vault.key"), **(more or {})}
        own = {
            **google.environment,
            "FLOTILLA_ORCHESTRATOR_URL": f"http://127.0.0.1:{port}",
            "GMAIL_ZONE": ZONE,
            "GOOGLE_CALENDAR_ZONE": ZONE,
            **common,
        }
        servers = _started(stack, data_dir, own)
        configs = [_config(name, server) for name, server in servers.items()]
        installation = Installation(folder, model.base_url, MODEL, configs, common, port=port)
        house = GoogleHouse(installation, google, model, servers)
        stack.enter_context(house._clients)
        stack.enter_context(running(installation))
        house.wait_until(lambda: house.states() == dict.fromkeys(SERVERS, "ready"))
        yield house


def _started(stack: ExitStack, data_dir: Path, own: Mapping[str, str]) -> dict[str, ServerProcess]:
    """Start all servers at once; they are ended at once, too."""

    def start(name: str) -> ServerProcess:
        return stack.enter_context(running_server(name, data_dir, own))

    with ThreadPoolExecutor(len(SERVERS)) as pool:
        servers = dict(zip(SERVERS, pool.map(start, SERVERS), strict=True))
    for server in servers.values():
        stack.callback(server.process.terminate)
    return servers


def _config(name: str, server: ServerProcess) -> dict[str, object]:
    return {
        "id": name,
        "title": name.replace("_", " ").title(),
        "url": server.url,
        "trust": "fleet",
        "token_file": f"tokens/{name}",
        "call_timeout_s": 20,
    }
