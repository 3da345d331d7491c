"""Checks of keys and of stored secrets, of which none is shown and none is made."""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from sqlalchemy.exc import DatabaseError

from orchestrator.cli.doctor.finding import Finding, ok, problem
from orchestrator.errors import VaultUnusable
from orchestrator.settings import Settings
from orchestrator.store.checkup import stored_secrets
from orchestrator.store.key_files import KeyFileUnusable, kept_key


class Secrets:
    """What the vault holds; opened once, whoever wants something first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._opened: Mapping[str, str | None] | None = None
        self._unusable = ""

    def __call__(self, name: str) -> str | None:
        """Return a secret, None when there is none that can be read."""
        return self._values().get(name)

    def look(self) -> list[Finding]:
        """Say whether all that is stored can be read."""
        values = self._values()
        if self._unusable:
            return [problem("vault", self._unusable, f"ls -l {self._settings.vault_key_path}")]
        locked = sorted(name for name, value in values.items() if value is None)
        if locked:
            sentence = f"{self._settings.vault_key_path} does not open: {', '.join(locked)}."
            return [problem("vault", sentence, "put the old key on a line below the new one")]
        if not values:
            return [ok("vault", "No secrets are stored.")]
        return [ok("vault", f"{len(values)} stored, all can be read.")]

    def _values(self) -> Mapping[str, str | None]:
        with self._lock:
            if self._opened is None:
                path = self._settings.data_dir / "chat_sessions.db"
                try:
                    self._opened = stored_secrets(path, self._settings.vault_key_path)
                except VaultUnusable as error:
                    self._opened, self._unusable = {}, str(error)
                except DatabaseError:
                    self._opened, self._unusable = {}, "The database cannot be read."
            return self._opened


def key_files(data_dir: Path) -> list[Finding]:
    """Look at the keys that sign grants and addresses of files; one that is missing is made."""
    paths = [path for name in ("grant_keys", "keys") for path in _files(data_dir / name)]
    found = [finding for path in paths for finding in _unusable(path)]
    return found or [ok("keys", f"{len(paths)} for signing, all can be used.")]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _unusable(path: Path) -> list[Finding]:
    try:
        kept_key(path)
    except KeyFileUnusable as error:
        return [problem("keys", str(error), f"ls -l {path}")]
    except OSError as error:
        return [problem("keys", f"{path} cannot be read: {error.strerror}.", f"ls -l {path}")]
    return []
