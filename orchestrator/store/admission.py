"""What the database and the token files must follow when the list of servers changes."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from orchestrator.domain.servers import ServerConfig, ServersDocument
from orchestrator.store import audit
from orchestrator.store.local_tokens import ensure_local_tokens
from orchestrator.store.principals import Owner
from orchestrator.store.standing_approvals import revoke_of_others

_SHOWN = ("enabled", "trust", "disabled_tools")
"""Fields whose values audit rows may hold; an address can have a key in it."""


def admit_servers(
    conn: Connection, data_dir: Path, before: ServersDocument, now: ServersDocument, actor: str
) -> Owner:
    """Give each server of the fleet its tokens, and write down what `actor` changed.

    What a server may do unasked ends when it goes, and so do its tokens.
    """
    fleet = [server.id for server in now.servers if server.trust == "fleet"]
    owner = ensure_local_tokens(conn, data_dir, fleet)
    revoke_of_others(conn, owner.id, {server.id for server in now.servers}, actor=actor)
    old = {server.id: server for server in before.servers}
    new = {server.id: server for server in now.servers}
    for server_id in sorted(old.keys() | new.keys()):
        action, details = _change(old.get(server_id), new.get(server_id))
        if action:
            audit.append(
                conn, owner.id, actor=actor, action=action, subject=server_id, details=details
            )
    return owner


def _change(old: ServerConfig | None, new: ServerConfig | None) -> tuple[str, dict[str, Any]]:
    if new is None:
        return "server_removed", {}
    if old is None:
        return "server_added", {"host": urlsplit(new.url).hostname, **_values(new, _SHOWN)}
    fields = [
        name for name in ServerConfig.model_fields if getattr(old, name) != getattr(new, name)
    ]
    shown = [name for name in fields if name in _SHOWN]
    return ("server_changed" if fields else ""), {"fields": fields, **_values(new, shown)}


def _values(server: ServerConfig, names: list[str] | tuple[str, ...]) -> dict[str, Any]:
    return server.model_dump(mode="json", include=set(names))
