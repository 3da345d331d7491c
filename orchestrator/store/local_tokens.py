"""Token files for the programs of this machine: the command line and the fleet."""

import os
from collections.abc import Container, Iterable
from pathlib import Path

from sqlalchemy import Connection

from orchestrator.store.principals import (
    Owner,
    Scope,
    add_token,
    ensure_owner,
    find_token,
    hash_secret,
    list_tokens,
    new_token,
    revoke_token,
)

TERMINAL = "cli"
LOCAL_TOKENS: dict[str, Scope] = {TERMINAL: "owner", "housekeeping.api": "read_history"}
"""File name, which is also the token's name, and scope."""

_OF_SERVER = ".api"
_ACTOR = "start-up"


def is_local(name: str) -> bool:
    """Tell whether a token of this name is for a program of this machine."""
    return name in LOCAL_TOKENS or name.endswith(_OF_SERVER)


def server_of(token_name: str) -> str:
    """Return which server of the fleet the token of that name and scope `server` is for."""
    return token_name.removesuffix(_OF_SERVER)


def ensure_local_tokens(conn: Connection, data_dir: Path, fleet: Iterable[str] = ()) -> Owner:
    """Make the owner and the token files under `data_dir`/tokens where they are missing.

    They are those of LOCAL_TOKENS, and one for each server of the `fleet` with which it asks for
    approvals, and takes and gives files. A file whose token was revoked is written anew; a token
    whose file was lost, or whose server left the fleet, is revoked.
    """
    owner = ensure_owner(conn)
    folder = data_dir / "tokens"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    wanted: dict[str, Scope] = {f"{server}{_OF_SERVER}": "server" for server in fleet}
    wanted |= LOCAL_TOKENS
    _drop_tokens_of_others(conn, owner.id, folder, wanted)
    for name, scope in wanted.items():
        if not _is_in_force(conn, folder / name, scope):
            _mint(conn, owner.id, folder / name, scope)
    return owner


def _drop_tokens_of_others(
    conn: Connection, owner_id: str, folder: Path, wanted: Container[str]
) -> None:
    for token in list_tokens(conn, owner_id):
        if token.scope == "server" and token.name not in wanted:
            revoke_token(conn, owner_id, token.id, actor=_ACTOR)
            (folder / token.name).unlink(missing_ok=True)


def _is_in_force(conn: Connection, path: Path, scope: Scope) -> bool:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    path.chmod(0o600)
    credential = find_token(conn, token_hash=hash_secret(token))
    return credential is not None and credential.scope == scope


def _mint(conn: Connection, owner_id: str, path: Path, scope: Scope) -> None:
    for lost in list_tokens(conn, owner_id):
        if (lost.name, lost.scope) == (path.name, scope):
            revoke_token(conn, owner_id, lost.id, actor=_ACTOR)
    token = new_token()
    add_token(
        conn,
        owner_id,
        name=path.name,
        scope=scope,
        token_hash=hash_secret(token),
        actor=_ACTOR,
    )
    _write_private(path, token + "\n")


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
