"""Check of one configured server: what the orchestrator says of it, its token, its health."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.cli.doctor.probe import Refused, Silent, probe
from orchestrator.cli.doctor.running import Running, ServerSeen
from orchestrator.domain.servers import ServerConfig
from orchestrator.environment import secret_variable
from orchestrator.settings import Settings

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """Looks at one server; third parties are asked by the orchestrator only."""

    config: ServerConfig
    settings: Settings
    running: Running
    secret: Callable[[str], str | None]

    def __call__(self) -> list[Finding]:
        config = self.config
        if not config.enabled:
            return [ok(self._subject, "Switched off.")]
        found = self._token_problems()
        seen = self.running.servers.get(config.id)
        if config.trust == "fleet":
            found += self._health_problems()
        if seen is None:
            return found or [ok(self._subject, self._unasked())]
        told = self._told(seen)
        # What we found ourselves is why the orchestrator cannot reach it.
        return found if found and told.level == "problem" else [*found, told]

    @property
    def _subject(self) -> str:
        return f"server {self.config.id}"

    @property
    def _document(self) -> Path:
        return self.settings.data_dir.absolute() / "mcp_servers.json"

    def _unasked(self) -> str:
        if self.config.trust == "fleet" and self.running.is_up:
            return "It answers; the orchestrator does not know it yet."
        if self.config.trust == "fleet":
            return "It answers."
        return "Configured; not asked while the orchestrator does not run."

    def _told(self, seen: ServerSeen) -> Finding:
        why = f": {seen.last_error}" if seen.last_error else "."
        match seen.state:
            case "ready":
                return ok(self._subject, f"Ready, {seen.tool_count} tools.")
            case "changed":
                names = ", ".join(seen.changed_tools)
                sentence = f"Tools changed and wait to be accepted: {names}."
                return warn(self._subject, sentence, "flotilla sign-in  # then Settings, Servers")
            case "needs_sign_in":
                sentence = f"It does not accept our token{why}"
                return problem(self._subject, sentence, f"$EDITOR {self._document}")
            case "unavailable":
                return problem(self._subject, f"It cannot be reached{why}", self._away_remedy())
            case _:
                return warn(self._subject, f"It is {seen.state}{why}", self._away_remedy())

    def _away_remedy(self) -> str:
        if self.config.trust == "fleet":
            return f"tail {self.settings.logs_dir.absolute() / 'processes' / 'fleet.log'}"
        return f"$EDITOR {self._document}"

    def _token_problems(self) -> list[Finding]:
        config = self.config
        if config.token_env is not None and not secret_variable(config.token_env):
            sentence = f"Its token is not in the environment: {config.token_env} is not set."
            return [problem(self._subject, sentence, f"export {config.token_env}")]
        if config.token_secret is not None and not self.secret(config.token_secret):
            sentence = f"Its token is not in the vault: {config.token_secret!r} cannot be read."
            return [problem(self._subject, sentence, "flotilla sign-in  # then give it again")]
        if config.token_file is None:
            return []
        path = self.settings.data_dir.absolute() / config.token_file
        if not path.is_file():
            if not self.running.is_up:
                return []
            sentence = f"Its token is missing: there is no {path}."
            return [problem(self._subject, sentence, self._away_remedy())]
        if not re.fullmatch(r"[\x21-\x7e]{16,}\n?", path.read_text("ascii", errors="replace")):
            sentence = f"{path} holds no token."
            return [problem(self._subject, sentence, f"rm {path}  # its server makes a new one")]
        return []

    def _health_problems(self) -> list[Finding]:
        url = self.config.url.removesuffix("/mcp") + "/health"
        try:
            reply = probe(url, timeout_s=TIMEOUT_S)
        except Refused:
            if not self.running.is_up:
                return [warn(self._subject, f"Nothing answers at {url}.", "flotilla up")]
            return [problem(self._subject, f"Nothing answers at {url}.", self._away_remedy())]
        except Silent:
            sentence = f"Somebody listens at {url} but does not answer within {TIMEOUT_S:.0f} s."
            return [problem(self._subject, sentence, self._who())]
        if reply.body.get("name") != self.config.id:
            return [problem(self._subject, f"Another program answers at {url}.", self._who())]
        return []

    def _who(self) -> str:
        port = re.search(r":(\d+)/", self.config.url)
        return f"ss -ltnp 'sport = :{port[1]}'" if port else f"$EDITOR {self._document}"
