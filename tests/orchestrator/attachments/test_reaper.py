"""The reaper: blob first, row after, later if need be, never lost."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.signing import ContentSigner, OwnAddresses
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339, utc_now
from orchestrator.errors import BlobStoreUnavailable, NotFound
from orchestrator.store import attachments, sessions
from orchestrator.store.schema import attachments as table
from tests.orchestrator.attachments.desk import ANN, Desk, names, opened, png, whole


class Stubborn(LocalBlobStore):
    """A folder that refuses to delete what is in `refused`, and notes what it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, OwnAddresses(ContentSigner(b"k" * 32), "http://127.0.0.1:8000"))
        self.refused: set[str] = set()
        self.asked: list[str] = []

    async def delete(self, name: str) -> None:
        self.asked.append(name)
        if name in self.refused:
            raise BlobStoreUnavailable("The disk is asleep.")
        await super().delete(name)


@pytest.fixture
async def stubborn(tmp_path: Path) -> AsyncGenerator[Stubborn]:
    store = Stubborn(tmp_path / "attachments")
    yield store
    await store.aclose()


async def row_of(desk: Desk, attachment_id: str) -> tuple[str, int, str | None]:
    def read(conn: Connection) -> tuple[str, int, str | None]:
        query = select(table.c.state, table.c.attempts, table.c.retry_at)
        return tuple(conn.execute(query.where(table.c.id == attachment_id)).one())  # type: ignore[return-value]

    return await desk.database.read(read)


async def test_what_nobody_used_is_taken_and_what_somebody_used_stays(
    tmp_path: Path, store: BlobStore
) -> None:
    async with opened(tmp_path, store) as desk:
        old, recent, touched = [await desk.save() for _ in range(3)]
        await desk.age(old.id, days=30, seconds=1)
        await desk.age(recent.id, days=29, hours=23)
        await desk.age(touched.id, days=40)
        await desk.database.write(attachments.touch, ANN, [touched.id])
        desk.reaper.wake()
        await desk.until(lambda rows: set(rows) == {recent.id, touched.id})
        assert await names(store) == {recent.id, touched.id}


@pytest.mark.parametrize("days", [1, 8, 400])
async def test_retention_may_be_longer_than_any_address_lives(
    tmp_path: Path, local: LocalBlobStore, days: int
) -> None:
    async with opened(tmp_path, local, retention_days=days) as desk:
        old, recent = await desk.save(), await desk.save()
        await desk.age(old.id, days=days, seconds=1)
        await desk.age(recent.id, days=days, seconds=-60)
        desk.reaper.wake()
        await desk.until(lambda rows: set(rows) == {recent.id})


async def test_a_file_is_taken_when_its_time_comes_without_any_news(
    tmp_path: Path, local: LocalBlobStore
) -> None:
    async with opened(tmp_path, local, retention_days=1) as desk:
        saved = await desk.save()
        await desk.age(saved.id, days=1, seconds=-0.5)
        desk.reaper.wake()
        assert set(await desk.rows()) == {saved.id}
        await desk.until(lambda rows: not rows)


async def test_without_retention_and_in_pinned_sessions_nothing_is_taken(
    tmp_path: Path, local: LocalBlobStore
) -> None:
    async with opened(tmp_path, local, retention_days=0) as desk:
        session_id = await desk.session()
        free, kept = await desk.save(), await desk.save(session_id=session_id)
        await desk.database.write(sessions.pin, ANN, session_id, pinned=True)
        for one in (free, kept):
            await desk.age(one.id, days=5_000)
        deleted = await desk.save()
        await desk.files.delete(ANN, [deleted.id])
        await desk.until(lambda rows: deleted.id not in rows)
        assert await desk.rows() == {free.id: "ready", kept.id: "ready"}
    async with opened(tmp_path, local, retention_days=30) as desk:
        await desk.until(lambda rows: free.id not in rows)
        assert await desk.rows() == {kept.id: "ready"}
        await desk.database.write(sessions.pin, ANN, session_id, pinned=False)
        await desk.age(kept.id, days=31)
        desk.reaper.wake()
        await desk.until(lambda rows: not rows)


async def test_deleting_a_session_leaves_an_empty_store(tmp_path: Path, store: BlobStore) -> None:
    async with opened(tmp_path, store) as desk:
        session_id = await desk.session()
        for number in range(5):
            await desk.save(png(100 + number), session_id=session_id)
        await desk.database.write(sessions.remove, ANN, session_id)
        desk.files.were_deleted()
        await desk.until(lambda rows: not rows)
        assert await names(store) == set()


async def test_more_than_one_batch_is_taken_at_once(tmp_path: Path, local: LocalBlobStore) -> None:
    async with opened(tmp_path, local) as desk:
        saved = [await desk.save() for _ in range(12)]
        template = saved[0]
        rows = [template.model_copy(update={"id": new_id("att")}) for _ in range(230)]

        def many(conn: Connection) -> None:
            for row in rows:
                attachments.begin(conn, ANN, row)
                attachments.finish(conn, ANN, row.id, size_bytes=1, sha256="")
            conn.execute(table.update().values(last_used_at="2020-01-01T00:00:00.000Z"))

        await desk.database.write(many)
        desk.reaper.wake()
        await desk.until(lambda rows: not rows)
        assert await names(local) == set()


async def test_a_blob_that_cannot_be_deleted_is_tried_later_and_others_do_not_wait(
    tmp_path: Path, stubborn: Stubborn
) -> None:
    async with opened(tmp_path, stubborn) as desk:
        bad, good = await desk.save(), await desk.save()
        stubborn.refused.add(bad.id)
        await desk.files.delete(ANN, [bad.id, good.id])
        await desk.until(lambda rows: set(rows) == {bad.id})
        while (row := await row_of(desk, bad.id))[1] == 0:  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.01)
        state, attempts, retry_at = row
        assert (state, attempts) == ("deleting", 1)
        assert retry_at is not None
        pause = datetime.fromisoformat(retry_at) - utc_now()
        assert 0 < pause.total_seconds() <= 5
        with pytest.raises(NotFound):
            await desk.files.get(ANN, bad.id)

        await desk.change(bad.id, attempts=30, retry_at=now_rfc3339())
        desk.reaper.wake()
        while (row := await row_of(desk, bad.id))[1] == 30:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        pause = datetime.fromisoformat(row[2] or "") - utc_now()
        assert 3_500 < pause.total_seconds() <= 3_600

        stubborn.refused.clear()
        await desk.change(bad.id, retry_at=now_rfc3339())
        desk.reaper.wake()
        await desk.until(lambda rows: not rows)
        assert await names(stubborn) == set()


async def test_the_row_outlives_the_blob(tmp_path: Path, stubborn: Stubborn) -> None:
    """At every point where the process may die, the row still leads to the blob."""
    async with opened(tmp_path, stubborn) as desk:
        saved = await desk.save()
    seen: list[set[str]] = []

    class Watching(Stubborn):
        async def delete(self, name: str) -> None:
            seen.append(set(await desk.rows()))
            await super().delete(name)
            seen.append(set(await desk.rows()))

    watching = Watching(tmp_path / "attachments")
    async with opened(tmp_path, watching) as desk:
        await desk.files.delete(ANN, [saved.id])
        await desk.until(lambda rows: not rows)
    assert seen == [{saved.id}, {saved.id}]
    await watching.aclose()


async def test_what_a_crash_left_is_cleared_at_the_next_start(
    tmp_path: Path, store: BlobStore
) -> None:
    """A crash before the blob, after the blob, before its deletion, and after it."""
    async with opened(tmp_path, store) as desk:
        kept, coming, deleting = [await desk.save() for _ in range(3)]
        await desk.reaping.aclose()
        now = new_id("att")
        await desk.database.write(
            attachments.begin, ANN, kept.model_copy(update={"id": now, "size_bytes": 0})
        )
        await desk.change(coming.id, state="incoming")
        await desk.change(deleting.id, state="deleting")
        gone = await desk.save()
        await desk.change(gone.id, state="deleting")
        await store.delete(gone.id)
        assert len(await desk.rows()) == 5
    async with opened(tmp_path, store) as desk:
        await desk.until(lambda rows: rows == {kept.id: "ready"})
        assert await names(store) == {kept.id}
        assert await whole(desk.files.open(ANN, kept.id)) == png()


async def test_a_blob_that_may_still_appear_is_waited_for(
    tmp_path: Path, stubborn: Stubborn
) -> None:
    async with opened(tmp_path, stubborn) as desk:
        late = await desk.save()
        await desk.change(late.id, state="incoming")
    async with opened(tmp_path, stubborn, settle_s=60) as desk:
        await desk.until(lambda rows: rows == {late.id: "deleting"})
        assert stubborn.asked == []
        _, attempts, retry_at = await row_of(desk, late.id)
        assert attempts == 0
        assert 50 < (datetime.fromisoformat(retry_at or "") - utc_now()).total_seconds() <= 60


async def test_a_file_on_its_way_is_left_alone(tmp_path: Path, store: BlobStore) -> None:
    async with opened(tmp_path, store) as desk:
        is_waiting, may_go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncGenerator[bytes]:
            yield png(300_000)
            is_waiting.set()
            await may_go_on.wait()
            yield b"the end"

        task = asyncio.create_task(desk.save(chunks=slow()))
        await is_waiting.wait()
        doomed = await desk.save()
        await desk.files.delete(ANN, [doomed.id])
        await desk.until(lambda rows: doomed.id not in rows)
        may_go_on.set()
        saved = await task
        assert await whole(desk.files.open(ANN, saved.id)) == png(300_000) + b"the end"
