"""One SQLite file: a single writer connection that also checkpoints, and readers beside it.

The statements are SQLAlchemy Core in plain functions that take a `Connection` first. They run in
threads: one hop per transaction costs a third of the CPU of one hop per statement (decision 0002).
What is asked for while a transaction runs shares the next one (group commit). SQLite before 3.51.3
can corrupt a WAL that two connections write or checkpoint at once; here only the writer does that.
"""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from sqlite3 import Connection as SqliteConnection
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool, StaticPool

from orchestrator.errors import StorageFull
from orchestrator.store.schema import metadata

P = ParamSpec("P")
T = TypeVar("T")

READERS = 3
MAX_GROUP = 64
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")
_MEMORY_PRAGMAS = ("foreign_keys=ON", "temp_store=MEMORY")
_READER_PRAGMAS = ("busy_timeout=5000", "query_only=ON", "wal_autocheckpoint=0")


@contextmanager
def opened_read_only(path: Path) -> Generator[Connection]:
    """Give a snapshot of the file of another process, which is neither written nor checkpointed."""
    address = f"sqlite:///file:{quote(str(path.absolute()))}?mode=ro&uri=true"
    engine = create_engine(address, hide_parameters=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@dataclass(slots=True)
class _Request:
    call: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    error: Exception | None = None
    value: Any = None


@dataclass(slots=True)
class _Group:
    loop: asyncio.AbstractEventLoop
    requests: list[_Request]
    error: Exception | None = None


class Database:
    """The writer and the readers of one SQLite file, or of none."""

    def __init__(self, path: Path | None) -> None:
        """Open `path`, which `migrate` has brought to the newest schema.

        None makes an empty database in memory, without full-text search. It has one connection, so
        reading waits for its turn like writing; it is gone when this is closed.
        """
        self._is_in_memory = path is None
        if path is None:
            self._writer = self._readers = _engine("", _MEMORY_PRAGMAS, readers=0)
            metadata.create_all(self._writer)
        else:
            self._writer = _engine(f"/{path}", _PRAGMAS, readers=0)
            self._readers = _engine(f"/{path}", _READER_PRAGMAS, readers=READERS)
        self._writer_connection: Connection | None = None
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
        self._writer_thread = Thread(target=self._write_groups, name="store-writer", daemon=True)
        self._writer_thread.start()
        self._reader_threads = ThreadPoolExecutor(READERS, "store-reader")
        self._queue: list[_Request] = []
        self._is_writing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def write(
        self,
        function: Callable[Concatenate[Connection, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `function` in a transaction that is on the disk when this returns.

        It completes even when the caller is cancelled. Raises what `function` raises, which undoes
        its own changes only, and StorageFull when the disk takes no more.
        """
        return await self._submit(partial(_call, function, args, kwargs))

    async def read(
        self,
        function: Callable[Concatenate[Connection, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `function` on a reader: a consistent snapshot that cannot write."""
        call = partial(_call, function, args, kwargs)
        if self._is_in_memory:
            return await self._submit(call)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader_threads, self._snapshot, call)

    async def close(self) -> None:
        """Finish what is queued, checkpoint and close."""
        await self._idle.wait()
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    async def _submit(self, call: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        request = _Request(call, loop.create_future())
        self._queue.append(request)
        if not self._is_writing:
            self._hand_over(loop)
        return await asyncio.shield(request.done)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the writer the next group; a thread pool costs twice as much per hop."""
        requests, self._queue = self._queue[:MAX_GROUP], self._queue[MAX_GROUP:]
        self._is_writing = True
        self._idle.clear()
        self._groups.put(_Group(loop, requests))

    def _written(self, group: "_Group") -> None:
        self._is_writing = False
        if self._queue:
            self._hand_over(group.loop)
        else:
            self._idle.set()
        for request in group.requests:
            error = request.error or group.error
            if request.done.cancelled():
                continue
            if error is None:
                request.done.set_result(request.value)
            else:
                request.done.set_exception(error)

    def _write_groups(self) -> None:
        """Run the groups until there are no more: the writer's thread."""
        while (group := self._groups.get()) is not None:
            try:
                self._run_group(group.requests)
            except Exception as error:  # noqa: BLE001 - handed to all who asked
                group.error = error
            group.loop.call_soon_threadsafe(self._written, group)

    def _run_group(self, group: list[_Request]) -> None:
        if self._writer_connection is None:  # Kept open: a checkout from the pool costs 0.1 ms.
            self._writer_connection = self._writer.connect()
        connection = self._writer_connection
        try:
            with connection.begin():
                _driver(connection).execute("BEGIN IMMEDIATE")
                if len(group) == 1:
                    group[0].value = group[0].call(connection)
                else:
                    for request in group:
                        _run_one(connection, request)
        except OperationalError as error:
            raise _storage_error(error) from error

    def _snapshot(self, call: Callable[[Connection], T]) -> T:
        with self._readers.connect() as connection, connection.begin():
            _driver(connection).execute("BEGIN")
            return call(connection)

    def _close(self) -> None:
        self._reader_threads.shutdown()
        self._readers.dispose()
        self._groups.put(None)
        self._writer_thread.join()
        if self._writer_connection is not None:
            self._writer_connection.close()
        self._writer.dispose()


def _call(
    function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], conn: Connection
) -> T:
    return function(conn, *args, **kwargs)


def _run_one(connection: Connection, request: _Request) -> None:
    """Run one of several behind a savepoint, so that its failure undoes nothing of the others."""
    driver = _driver(connection)
    driver.execute("SAVEPOINT one")
    try:
        request.value = request.call(connection)
    except Exception as error:
        if not driver.in_transaction:  # A full disk rolls the whole transaction back.
            raise
        request.error = _storage_error(error) if isinstance(error, OperationalError) else error
        driver.execute("ROLLBACK TO one")
    driver.execute("RELEASE one")


def _storage_error(error: OperationalError) -> Exception:
    if "disk is full" in str(error.orig):
        return StorageFull("The disk is full: nothing was stored. Free some space and try again.")
    return error


def _engine(place: str, pragmas: tuple[str, ...], *, readers: int) -> Engine:
    pool = {"poolclass": QueuePool, "pool_size": readers} if readers else {"poolclass": StaticPool}
    engine = create_engine(
        f"sqlite://{place}",
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # The parameters are people's messages.
        **pool,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: SqliteConnection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        # The driver must not open transactions by itself, but with the lock that is right. A
        # listener for "begin" would make SQLAlchemy dispatch events for every statement.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _driver(connection: Connection) -> SqliteConnection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, SqliteConnection):
        raise TypeError(f"expected a sqlite3 connection, got {driver!r}")
    return driver
