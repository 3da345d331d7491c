"""A SQLite file that several processes of one server share.

A server that runs over HTTP and others of the same name on stdio share the file. SQLite before
3.51.3 can corrupt a WAL that two connections write or checkpoint at once, so that every write, and
opening and closing too, happens under a lock of the file beside it.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar, TypeVarTuple

LOCK_PATIENCE_S = 5.0
_LOCK_RETRY_S = 0.002
_PRIMARY_CODE = 0xFF

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class DatabaseUnavailable(Exception):
    """The file cannot be used; the message says why, and what the owner can do."""


class NewerSchema(Exception):
    """The file was written by a later version of this program."""


def make_tables(conn: sqlite3.Connection, *versions: Sequence[str]) -> None:
    """Brings a file, empty or older, to the last version, inside the caller's transaction.

    Each version is the statements that make it from the one before. Raises NewerSchema when the
    file is ahead of them.
    """
    (found,) = conn.execute("PRAGMA user_version").fetchone()
    if found > len(versions):
        raise NewerSchema(found)
    for statements in versions[found:]:
        for statement in statements:
            conn.execute(statement)
    conn.execute(f"PRAGMA user_version = {len(versions)}")


class Database:
    """Runs functions on the file, one after the other, in a thread of its own.

    An asynchronous context manager. Open it after a fork, never before. `prepare` makes the tables
    in its first transaction; `if_damaged` says what to do when the file is; what cannot be done
    raises `unavailable`.
    """

    def __init__(
        self,
        path: Path,
        prepare: Callable[[sqlite3.Connection], None],
        *,
        if_damaged: str,
        unavailable: type[DatabaseUnavailable] = DatabaseUnavailable,
    ) -> None:
        self._path = path
        self._prepare = prepare
        self._if_damaged = if_damaged
        self._unavailable = unavailable
        self._thread: ThreadPoolExecutor
        self._connection: sqlite3.Connection
        self._lock: int
        self._is_durable: bool | None = None

    async def __aenter__(self) -> Self:
        """Opens the file, which is made when it is missing. Raises DatabaseUnavailable."""
        self._thread = ThreadPoolExecutor(1, f"{self._path.stem}-{self._path.parent.name}")
        try:
            await self._run(self._open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def write(
        self,
        change: Callable[[sqlite3.Connection, *Ts], R],
        /,
        *args: *Ts,
        durable: bool = True,
    ) -> R:
        """What `change(connection, *args)` returns, run in a transaction of its own.

        It ends even when the caller is cancelled. A durable one is on the disk then; the other
        survives the death of the process, not a power cut. Raises what `change` raises, which
        undoes all of it, and DatabaseUnavailable.
        """
        return await self._run(lambda: self._write(lambda conn: change(conn, *args), durable))

    async def read(self, query: Callable[[sqlite3.Connection, *Ts], R], /, *args: *Ts) -> R:
        """What `query(connection, *args)` returns, over one state of the file.

        Raises DatabaseUnavailable.
        """
        return await self._run(lambda: self._read(lambda conn: query(conn, *args)))

    async def _run(self, work: Callable[[], R]) -> R:
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._translated, work)
        return await asyncio.shield(running)

    def _translated(self, work: Callable[[], R]) -> R:
        try:
            return work()
        except (sqlite3.Error, OSError, NewerSchema) as error:
            if (sentence := _sentence(self._path, error, self._if_damaged)) is None:
                raise
            raise self._unavailable(sentence) from error

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _opened(self._path.with_name(f"{self._path.name}.lock"))
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._lock)
            with self._locked():
                # SQLite gives the files it puts beside this one the same permissions. An existing
                # one is left closed: closing it would drop this process's other locks (fcntl(2)).
                if not self._path.exists():
                    os.close(_opened(self._path))
                self._connection = sqlite3.connect(self._path, isolation_level=None)
                undo.callback(self._connection.close)
                self._connection.execute("PRAGMA journal_mode = WAL")
            self._write(self._prepare, durable=True)
            undo.pop_all()

    def _close(self) -> None:
        try:
            # The last one to close also checkpoints.
            with self._locked():
                self._connection.close()
        finally:
            os.close(self._lock)

    def _write(self, change: Callable[[sqlite3.Connection], R], durable: bool) -> R:
        with self._locked():
            if self._is_durable != durable:
                # SQLite ignores this pragma inside a transaction.
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._is_durable = durable
            return self._transaction("BEGIN IMMEDIATE", change)

    def _read(self, query: Callable[[sqlite3.Connection], R]) -> R:
        return self._transaction("BEGIN", query)

    def _transaction(self, begin: str, work: Callable[[sqlite3.Connection], R]) -> R:
        self._connection.execute(begin)
        try:
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk has SQLite roll back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOCK_RETRY_S)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _sentence(path: Path, error: Exception, if_damaged: str) -> str | None:
    """What the owner has to know, or None for what is a fault of this program."""
    match error:
        case NewerSchema():
            return f"{path} was written by a newer Flotilla: update this server."
        case BlockingIOError():
            return f"{path} is held by another process of this server: stop that one, or try again."
        case OSError():
            return f"{path} cannot be opened ({error.strerror}): check the folder and its owner."
        case sqlite3.Error():
            return _sqlite_sentence(path, error, if_damaged)
        case _:
            return None


def _sqlite_sentence(path: Path, error: sqlite3.Error, if_damaged: str) -> str | None:
    code: Any = getattr(error, "sqlite_errorcode", None)
    match None if code is None else code & _PRIMARY_CODE:
        case sqlite3.SQLITE_FULL:
            return f"The disk is full, so that {path} takes no more: make room and try again."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"{path} cannot be written: check the owner and the rights of its folder."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{path} is damaged: {if_damaged}"
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_BUSY | sqlite3.SQLITE_NOMEM:
            return f"{path} cannot be used now ({error}): check the disk and try again."
        case _:
            return None
