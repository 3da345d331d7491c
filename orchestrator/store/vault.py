"""The vault: secrets that the owner gave us, encrypted at rest with a key outside the data."""

import asyncio
import logging
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, delete, insert, select

from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import NotFound, VaultUnusable
from orchestrator.store import audit
from orchestrator.store.access_schema import secrets
from orchestrator.store.database import Database
from orchestrator.store.key_files import KeyFileUnusable, kept_key

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """What may be told of a secret."""

    name: str
    updated_at: str
    is_readable: bool
    """False when its key is gone: it must be given again."""


class Vault:
    """Keeps the secrets of one owner; `secret` answers from memory, so that connecting is quick.

    The key file holds one key a line: the first encrypts, all of them decrypt, so a key is replaced
    by putting a new one above it.
    """

    def __init__(self, database: Database, owner_id: str, key_file: Path) -> None:
        self._database = database
        self._owner_id = owner_id
        self._key_file = key_file
        self._open: dict[str, str] = {}

    async def load(self) -> None:
        """Decrypt what is stored; what cannot be is logged and counts as not given."""
        rows = await self._database.read(_ciphertexts, self._owner_id)
        if not rows:
            return
        try:
            fernet = await asyncio.to_thread(self._fernet)
        except VaultUnusable as error:
            logger.error("vault_unusable secrets=%d why=%s", len(rows), error)  # noqa: TRY400
            return
        for name, ciphertext in rows.items():
            if (value := _decrypted(fernet, ciphertext)) is None:
                logger.error("secret_unreadable name=%s key_file=%s", name, self._key_file)
            else:
                self._open[name] = value

    def secret(self, name: str) -> str | None:
        """Return a secret, None when there is none that can be read."""
        return self._open.get(name)

    async def listed(self) -> list[StoredSecret]:
        """Return what is stored, by name; never a value."""
        rows = await self._database.read(_names, self._owner_id)
        return [StoredSecret(name, updated_at, name in self._open) for name, updated_at in rows]

    async def put(self, name: str, value: str, *, actor: str) -> None:
        """Keep a secret, in place of an earlier one of that name. Raises VaultUnusable."""
        fernet = await asyncio.to_thread(self._fernet)
        ciphertext = fernet.encrypt(value.encode())
        await self._database.write(_put, self._owner_id, name, ciphertext, actor)
        self._open[name] = value

    async def remove(self, name: str, *, actor: str) -> None:
        """Forget a secret. Raises NotFound."""
        await self._database.write(_remove, self._owner_id, name, actor)
        self._open.pop(name, None)

    def _fernet(self) -> MultiFernet:
        try:
            if not self._key_file.exists():
                kept_key(self._key_file)
        except OSError as error:
            raise _unusable(self._key_file, error) from error
        except KeyFileUnusable as error:
            raise VaultUnusable(str(error)) from error
        return _opened(self._key_file)


def readable_secrets(conn: Connection, key_file: Path) -> dict[str, str | None]:
    """Return what is stored, of every owner, and None for what the key does not open.

    No key is made. Raises VaultUnusable when there are secrets and the key file cannot be used.
    """
    rows = conn.execute(select(secrets.c.name, secrets.c.ciphertext)).all()
    if not rows:
        return {}
    fernet = _opened(key_file)
    return {row.name: _decrypted(fernet, row.ciphertext) for row in rows}


def _decrypted(fernet: MultiFernet, ciphertext: bytes) -> str | None:
    try:
        return fernet.decrypt(ciphertext).decode()
    except InvalidToken:
        return None


def _opened(path: Path) -> MultiFernet:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise VaultUnusable(f"{path} can be read by other users: run `chmod 600 {path}`.")
        lines = path.read_text(encoding="ascii").split()
        if not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=?", line) for line in lines):
            raise ValueError("not 256 bits in base64")
        # The files hold them without the padding that Fernet wants.
        return MultiFernet([Fernet(line.rstrip("=") + "=") for line in lines])
    except OSError as error:
        raise _unusable(path, error) from error
    except ValueError as error:
        raise VaultUnusable(
            f"{path} holds no key of the vault. Put the right one back; without it, delete the "
            "file and give the secrets again."
        ) from error


def _unusable(path: Path, error: OSError) -> VaultUnusable:
    return VaultUnusable(f"{path} cannot be used: {error.strerror}.")


def _ciphertexts(conn: Connection, owner_id: str) -> dict[str, bytes]:
    rows = conn.execute(
        select(secrets.c.name, secrets.c.ciphertext).where(secrets.c.owner_id == owner_id)
    )
    return {row.name: row.ciphertext for row in rows}


def _names(conn: Connection, owner_id: str) -> list[tuple[str, str]]:
    rows = conn.execute(
        select(secrets.c.name, secrets.c.updated_at)
        .where(secrets.c.owner_id == owner_id)
        .order_by(secrets.c.name)
    )
    return [(row.name, row.updated_at) for row in rows]


def _put(conn: Connection, owner_id: str, name: str, ciphertext: bytes, actor: str) -> None:
    conn.execute(delete(secrets).where(secrets.c.owner_id == owner_id, secrets.c.name == name))
    row = {"name": name, "ciphertext": ciphertext, "updated_at": now_rfc3339()}
    conn.execute(insert(secrets).values(owner_id=owner_id, **row))
    audit.append(conn, owner_id, actor=actor, action="secret_put", subject=name)


def _remove(conn: Connection, owner_id: str, name: str, actor: str) -> None:
    done = conn.execute(
        delete(secrets).where(secrets.c.owner_id == owner_id, secrets.c.name == name)
    )
    if done.rowcount == 0:
        raise NotFound(f"There is no secret {name!r}.")
    audit.append(conn, owner_id, actor=actor, action="secret_removed", subject=name)
