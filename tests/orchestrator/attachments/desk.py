"""The service, its reaper and a real database around any store of blobs."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from struct import pack
from typing import Any

from sqlalchemy import Connection, select, update

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.reaper import Reaper
from orchestrator.attachments.signing import ContentSigner
from orchestrator.attachments.uploads import Attachments
from orchestrator.background import running
from orchestrator.domain.attachments import Attachment
from orchestrator.domain.times import now_rfc3339, to_rfc3339, utc_now
from orchestrator.store import sessions
from orchestrator.store.access_schema import owners
from orchestrator.store.database import Database
from orchestrator.store.migrate import migrate
from orchestrator.store.schema import attachments

ANN, BO = "own_ann", "own_bo"
MAX_BYTES = 1_000_000


def png(size: int = 100) -> bytes:
    """A picture of one pixel, and bytes behind it until it has `size`."""
    head = b"IHDR" + pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + pack(">I", zlib.crc32(head))
    return picture + b"x" * (size - len(picture))


async def streamed(content: bytes, step: int = 7_000) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), step):
        yield content[start : start + step]


@dataclass
class Desk:
    database: Database
    store: BlobStore
    reaper: Reaper
    files: Attachments
    reaping: AsyncExitStack
    """Closed, nothing is reaped any more, as after a crash."""

    async def save(self, content: bytes = b"", *, name: str = "a.png", **more: Any) -> Attachment:
        owner_id = more.pop("owner_id", ANN)
        chunks = more.pop("chunks", None) or streamed(content or png())
        return await self.files.save(owner_id, chunks, name=name, source="upload", **more)

    async def session(self, owner_id: str = ANN) -> str:
        return (await self.database.write(sessions.create, owner_id, "Chat")).id

    async def rows(self) -> dict[str, str]:
        """The state of every row by id."""
        return await self.database.read(_states)

    async def change(self, attachment_id: str, **values: Any) -> None:
        await self.database.write(_change, attachment_id, values)

    async def age(self, attachment_id: str, **by: float) -> None:
        """Make it used last that long ago."""
        then = to_rfc3339(utc_now() - timedelta(**by))
        await self.change(attachment_id, last_used_at=then)

    async def until(self, is_true: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Return the rows once they are so; the test's own time limit bounds it."""
        while not is_true(rows := await self.rows()):  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.01)
        return rows


@asynccontextmanager
async def opened(
    folder: Path, store: BlobStore, *, retention_days: int = 30, settle_s: float = 0
) -> AsyncGenerator[Desk]:
    path = folder / "chat_sessions.db"
    migrate(path)
    database = Database(path)
    await database.write(_owners)
    reaper = Reaper(database, store, retention_days=retention_days, settle_s=settle_s)
    files = Attachments(
        database,
        store,
        ContentSigner(b"k" * 32),
        reaper,
        max_size_bytes=MAX_BYTES,
        url_life_s=3_600,
    )
    try:
        async with AsyncExitStack() as reaping:
            await reaping.enter_async_context(running(reaper.reap()))
            yield Desk(database, store, reaper, files, reaping)
    finally:
        await database.close()


async def whole(chunks: AsyncIterable[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def names(store: BlobStore) -> set[str]:
    return {info.name async for info in store.names()}


def _owners(conn: Connection) -> None:
    if conn.execute(select(owners.c.id)).first() is None:
        rows = [{"id": f"own_{name}", "name": name} for name in ("ann", "bo")]
        conn.execute(owners.insert(), [{**row, "created_at": now_rfc3339()} for row in rows])


def _states(conn: Connection) -> dict[str, str]:
    return {row.id: row.state for row in conn.execute(select(attachments))}


def _change(conn: Connection, attachment_id: str, values: dict[str, Any]) -> None:
    conn.execute(update(attachments).where(attachments.c.id == attachment_id).values(values))
