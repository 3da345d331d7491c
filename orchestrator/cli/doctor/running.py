"""The orchestrator that works on our data folder: whether it runs, and what it knows."""

from importlib.metadata import version
from threading import Lock
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.cli.doctor.probe import Refused, Silent, probe
from orchestrator.cli.door import Door, own_address
from orchestrator.cli.lock import lock_holder
from orchestrator.settings import Settings

TIMEOUT_S = 2.5

Presence = Literal["ours", "another", "foreign", "silent", "away"]
"""`another` Flotilla, a `foreign` program, or nobody (`away`); `silent` is ours, but frozen."""


class ServerSeen(BaseModel):
    """What the orchestrator says of a server: a part of `GET /api/mcp/servers`."""

    id: str
    state: str
    last_error: str | None = None
    changed_tools: tuple[str, ...] = ()
    tool_count: int = 0


_SEEN = TypeAdapter(list[ServerSeen])


class Running:
    """Asks the orchestrator once, whoever wants to know it first; the others wait for that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._is_asked = False
        self._presence: Presence = "away"
        self._version = ""
        self._holder: str | None = None
        self._servers: dict[str, ServerSeen] = {}
        self._problems: tuple[str, ...] = ()
        self._complaint: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether ours answers."""
        self._ask()
        return self._presence == "ours"

    @property
    def servers(self) -> dict[str, ServerSeen]:
        """What it says of its servers, by id; empty when it says nothing."""
        self._ask()
        return self._servers

    @property
    def problems(self) -> tuple[str, ...]:
        """Which edits by hand it did not take over, in sentences."""
        self._ask()
        return self._problems

    def look(self) -> list[Finding]:
        """Say who is on our port."""
        self._ask()
        port = self._settings.port
        who = f"ss -ltnp 'sport = :{port}'"
        elsewhere = f"{who}  # end it, or set FLOTILLA_PORT in .env"
        match self._presence:
            case "ours":
                return [self._version_finding(), *self._complaints()]
            case "another":
                sentence = f"Another Flotilla has port {port}; it uses other data."
                return [problem("orchestrator", sentence, elsewhere)]
            case "foreign":
                sentence = f"Another program has port {port}."
                return [problem("orchestrator", sentence, elsewhere)]
            case "silent":
                sentence = f"Process {self._holder} does not answer within {TIMEOUT_S} s."
                remedy = f"kill -9 {self._holder}  # `flotilla up` and systemd start it again"
                return [problem("orchestrator", sentence, remedy)]
            case "away" if self._holder is not None:
                sentence = f"Process {self._holder} uses our data but not port {port}."
                return [problem("orchestrator", sentence, f"ps {self._holder}")]
            case "away":
                return [warn("orchestrator", "It does not run.", "flotilla up")]

    def _version_finding(self) -> Finding:
        installed = version("flotilla")
        if self._version != installed:
            sentence = f"{self._version} runs, but {installed} is installed: start it again."
            return warn("orchestrator", sentence, "Ctrl-C, then flotilla up")
        sentence = f"{installed} answers at {own_address(self._settings)}"
        return ok("orchestrator", f"{sentence} (process {self._holder}).")

    def _complaints(self) -> list[Finding]:
        if self._complaint is None:
            return []
        return [problem("orchestrator", self._complaint, "flotilla up")]

    def _ask(self) -> None:
        with self._lock:
            if not self._is_asked:
                self._is_asked = True
                self._holder = lock_holder(self._settings.data_dir)
                self._presence = self._present()
                if self._presence == "ours":
                    self._read_servers()

    def _present(self) -> Presence:
        url = f"{own_address(self._settings)}/health"
        try:
            reply = probe(url, {"Host": f"127.0.0.1:{self._settings.port}"}, timeout_s=TIMEOUT_S)
        except Refused:
            return "away"
        except Silent:
            return "foreign" if self._holder is None else "silent"
        self._version = str(reply.body.get("version", ""))
        if reply.body.get("status") != "ok" or not self._version:
            return "foreign"
        # Our token is shown to nobody else.
        return "another" if self._holder is None else "ours"

    def _read_servers(self) -> None:
        door = Door(self._settings, timeout_s=TIMEOUT_S)
        try:
            answer: dict[str, Any] = door.ask("GET", "/api/mcp/servers")
            seen = _SEEN.validate_python(answer["items"])
        except Complaint as complaint:
            self._complaint = str(complaint)
        except (ValidationError, KeyError, TypeError):
            self._complaint = "It lists its servers in a way that this version does not know."
        else:
            self._servers = {server.id: server for server in seen}
            self._problems = tuple(map(str, answer.get("problems", ())))
