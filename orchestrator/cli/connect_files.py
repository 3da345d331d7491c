"""The configuration files of other MCP clients, where `flotilla connect --write` puts entries."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from orchestrator.cli.complaint import Complaint
from orchestrator.domain.client_configs import ClientName

_BY_HAND = "nothing was changed. Mend it, or put in by hand what this prints without --write."
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a client's file."""

    path: Path
    backup: Path | None
    """A copy from before; None when there was no file."""
    replaced: str
    """The text of the entries that were there under the same names."""


def config_file(client: ClientName) -> Path:
    """Return where the client keeps its configuration, for this user or in this folder."""
    match client:
        case "claude-desktop":
            return _application_folder() / "Claude" / "claude_desktop_config.json"
        case "cursor":
            return Path.home() / ".cursor" / "mcp.json"
        case "vscode":
            return Path.cwd() / ".vscode" / "mcp.json"
        case "claude-code":
            return Path.cwd() / ".mcp.json"


def read_config(client: ClientName) -> dict[str, Any]:
    """Return what the client's file holds. Raises Complaint when nothing can be put into it."""
    path = config_file(client)
    if path.exists() and not path.is_file():
        raise Complaint(f"{path} is no file; {_BY_HAND}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Complaint(f"{path} cannot be read ({error}); {_BY_HAND}") from error
    try:
        return _OBJECT.validate_python(json.loads(text)) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Complaint(
            f"{path} is not what was expected, a JSON object without comments; {_BY_HAND}"
        ) from error


def write_config(client: ClientName, config: Mapping[str, Mapping[str, Any]]) -> Written:
    """Put entries into the client's file, beside all it holds. Raises Complaint."""
    # A link into a folder of dotfiles stays one.
    path = config_file(client).resolve()
    content = read_config(client)
    replaced: list[Any] = []
    for key, entries in config.items():
        try:
            present = _OBJECT.validate_python(content.get(key, {}))
        except ValueError as error:
            raise Complaint(f"{key!r} in {path} is no JSON object; {_BY_HAND}") from error
        replaced += [present[name] for name in entries if name in present]
        content[key] = present | dict(entries)
    backup = path.with_name(path.name + ".bak")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        if existed:
            _replace(backup, path.read_bytes())
        _replace(path, _as_bytes(content))
    except OSError as error:
        raise Complaint(f"{path} cannot be written ({error.strerror}).") from error
    return Written(path, backup if existed else None, json.dumps(replaced))


def _as_bytes(content: dict[str, Any]) -> bytes:
    """Return JSON that a person can read; half characters, which are no text, stay escapes."""
    try:
        return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(content, indent=2).encode() + b"\n"


def _application_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ["APPDATA"])
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _replace(path: Path, data: bytes) -> None:
    """Put a file in place, whole or not at all; it may hold tokens, so it is the user's only."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
