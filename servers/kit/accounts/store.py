"""Where a server keeps its accounts: a file of its own, whose secrets are encrypted."""

import hashlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from pydantic import BaseModel, ConfigDict

from servers.kit.accounts import tables
from servers.kit.accounts.provider import SignedIn, Tokens
from servers.kit.accounts.tables import Phase, Row
from servers.kit.accounts.vault import SecretUnreadable, Vault
from servers.kit.database import Database, DatabaseUnavailable
from servers.kit.errors import Unavailable

_ACCOUNT = "account"
_SIGN_IN = "sign_in"
_IF_DAMAGED = "put a backup in its place, or move it away and sign in again."

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Held:
    """An account with its tokens in the clear."""

    row: Row
    tokens: Tokens = field(repr=False)


class PendingSignIn(BaseModel):
    """What has to be remembered until the person comes back."""

    model_config = ConfigDict(frozen=True)

    redirect_uri: str
    scopes: frozenset[str]
    secret: dict[str, str]


def accounts_file(server: str) -> Path:
    """Where a server's accounts are kept, relative to the data directory."""
    return Path("servers", server, "accounts.db")


class AccountStore:
    """The open file. What cannot be done with it raises Unavailable; the message says why."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._path = path
        self._vault = vault
        self.database = Database(path, tables.prepare, if_damaged=_IF_DAMAGED)

    def lock_path(self, account: str) -> Path:
        """The file whose lock is held while the tokens of an account are renewed."""
        name = hashlib.sha256(account.encode()).hexdigest()[:16]
        return self._path.with_name(f"{self._path.name}.{name}.lock")

    async def rows(self) -> list[Row]:
        """All accounts, the default first."""
        return await self._read(tables.rows)

    async def row(self, account: str) -> Row | None:
        return await self._read(tables.row, account)

    def opened(self, row: Row) -> Held:
        """The account with its tokens. Raises SecretUnreadable and VaultUnusable."""
        values = self._vault.open(_ACCOUNT, row.account, row.secret)
        access, refresh = values["access_token"], values["refresh_token"]
        if not isinstance(access, str) or not isinstance(refresh, str | None):
            raise SecretUnreadable("it holds no tokens")
        tokens = Tokens(
            access_token=access,
            expires_at=row.expires_at,
            refresh_token=refresh,
            scopes=row.scopes,
            works_until=row.works_until,
        )
        return Held(row, tokens)

    async def renew(self, seen: Row, tokens: Tokens) -> bool:
        """Keeps new tokens; False when the account changed since it was seen. Durable."""
        secret = self._sealed(seen.account, tokens)

        def change(conn: sqlite3.Connection) -> bool:
            return tables.renew(
                conn,
                seen,
                secret,
                scopes=tokens.scopes,
                expires_at=tokens.expires_at,
                works_until=tokens.works_until,
                now_s=time.time(),
            )

        return await self._write(change)

    async def end(self, seen: Row, because: str) -> None:
        """Notes that an account has to sign in again, unless it changed since it was seen."""
        await self._write(tables.end, seen, because)

    async def make_default(self, account: str) -> bool:
        return await self._write(tables.make_default, account)

    async def forget(self, account: str) -> None:
        await self._write(tables.forget, account)

    async def add_sign_in(self, state: str, pending: PendingSignIn, expires_at: float) -> None:
        digest = _digest(state)
        secret = self._vault.seal(_SIGN_IN, digest, pending.model_dump(mode="json"))
        await self._write(tables.add_sign_in, digest, secret, expires_at, time.time())

    async def take_sign_in(self, state: str) -> PendingSignIn | Phase | None:
        """What waited under this state, once; else what became of it.

        Raises SecretUnreadable and VaultUnusable.
        """
        digest = _digest(state)
        found = await self._write(tables.take_sign_in, digest, time.time())
        if found is None:
            return None
        phase, secret = found
        if phase != "waiting":
            return phase
        return PendingSignIn.model_validate(self._vault.open(_SIGN_IN, digest, secret))

    async def set_phase(self, state: str, phase: Phase) -> None:
        await self._write(tables.set_phase, _digest(state), phase)

    async def put_signed_in(self, state: str, signed_in: SignedIn) -> None:
        """Keeps the account, and notes in the same step that the sign-in is done. Durable."""
        tokens = signed_in.tokens
        secret = self._sealed(signed_in.account, tokens)

        def change(conn: sqlite3.Connection) -> None:
            tables.put_signed_in(
                conn,
                signed_in.account,
                secret,
                scopes=tokens.scopes,
                expires_at=tokens.expires_at,
                works_until=tokens.works_until,
                now_s=time.time(),
            )
            tables.set_phase(conn, _digest(state), "done")

        await self._write(change)

    def _sealed(self, account: str, tokens: Tokens) -> bytes:
        values = {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
        return self._vault.seal(_ACCOUNT, account, values)

    async def _write(self, change: Callable[[sqlite3.Connection, *Ts], R], *args: *Ts) -> R:
        try:
            return await self.database.write(change, *args)
        except DatabaseUnavailable as error:
            raise Unavailable(str(error)) from error

    async def _read(self, query: Callable[[sqlite3.Connection, *Ts], R], *args: *Ts) -> R:
        try:
            return await self.database.read(query, *args)
        except DatabaseUnavailable as error:
            raise Unavailable(str(error)) from error


def _digest(state: str) -> str:
    # Who can read the file must not be able to complete what waits in it.
    return hashlib.sha256(state.encode()).hexdigest()
