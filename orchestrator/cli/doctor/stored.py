"""Checks of what is stored: the database, the documents, text that is not in the database yet."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.cli.doctor.running import Running
from orchestrator.settings import Settings
from orchestrator.store.checkup import DatabaseState, examine
from orchestrator.store.json_file import PENDING

PATIENCE_S = 4.0
_CORRUPT = "*.corrupt-*"
_SPILL = "turn_events-*.spill"


def database(settings: Settings) -> list[Finding]:
    """Open the database, and have SQLite look for damage."""
    path = settings.data_dir / "chat_sessions.db"
    remedy = f"ls {path.absolute()}.before-*  # or a backup of your own"
    try:
        state = examine(path, patience_s=PATIENCE_S)
    except FileNotFoundError:
        return [ok("database", "There is none yet; the first start makes it.")]
    except DatabaseError as error:
        return [problem("database", f"{path} cannot be opened: {error.orig}.", remedy)]
    if not state.is_known:
        sentence = f"{path} was written by a newer Flotilla (schema {state.revision})."
        return [problem("database", sentence, "git pull && make install")]
    if state.verdict not in ("ok", None):
        return [problem("database", f"{path} is damaged: {state.verdict}.", remedy)]
    sentence = f"{state.size_bytes / 10**6:,.1f} MB, {_schema(state)}"
    if state.verdict is None:
        sentence = f"{sentence}, too large to be looked through here."
        return [warn("database", sentence, f"sqlite3 {path} 'PRAGMA quick_check'")]
    return [ok("database", f"{sentence}, sound.")]


def _schema(state: DatabaseState) -> str:
    if state.revision == state.newest:
        return f"schema {state.revision}"
    return f"schema {state.revision}, which the next start brings to {state.newest}"


def documents(data_dir: Path, unreadable: Mapping[str, str], running: Running) -> list[Finding]:
    """Look at the JSON documents, and at those that were set aside. `unreadable` says why."""
    subject = "documents"
    found = [
        problem(subject, f"{name}.json cannot be used: {why}.", f"$EDITOR {data_dir}/{name}.json")
        for name, why in unreadable.items()
    ]
    found += _pins(data_dir)
    found += [
        warn(subject, f"{path.name} was set aside: it could not be read.", f"less {path}")
        for path in sorted(data_dir.glob(_CORRUPT))
    ]
    found += [
        warn(subject, sentence, f"$EDITOR {data_dir}/mcp_servers.json")
        for sentence in running.problems
    ]
    if (data_dir / PENDING).exists() and not running.is_up:
        sentence = "A change of several documents was interrupted; the next start completes it."
        found.append(warn(subject, sentence, "flotilla up"))
    return found or [ok(subject, "All that there are can be read.")]


def _pins(data_dir: Path) -> list[Finding]:
    path = data_dir / "tool_pins.json"
    if not path.exists():
        return []
    # The SDK's types come with it, which take longer to import than all else here.
    from orchestrator.tools.pins import PinsDocument  # noqa: PLC0415

    try:
        PinsDocument.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        sentence = f"{path.name} cannot be read: all tools will wait to be accepted again."
        return [problem("documents", sentence, f"cp {path}.bak {path}")]
    return []


def unsaved_text(data_dir: Path, running: Running) -> list[Finding]:
    """Look for text of answers that a crash kept from the database."""
    left = [path for path in data_dir.glob(_SPILL) if path.stat().st_size]
    if left and not running.is_up:
        sentence = "Text of answers that broke off waits; the next start takes it in."
        return [warn("answers", sentence, "flotilla up")]
    return [ok("answers", "No text waits to be stored.")]
