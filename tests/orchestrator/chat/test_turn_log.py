"""The event log when a transaction fails or is slow: no gaps, no doubles, nothing shown is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event as ThreadEvent

import pytest
from sqlalchemy import Connection

from orchestrator.chat.accepting import NewTurn, accept
from orchestrator.chat.closing import STOPPED, close_turn
from orchestrator.chat.event_recorder import EventRecorder
from orchestrator.chat.events import Notice, ToolCallFinished, ToolCallProgress, TurnFinished
from orchestrator.chat.turn_log import TurnLog
from orchestrator.domain.chat import Turn
from orchestrator.store import sessions, turns
from orchestrator.store.database import Database
from orchestrator.store.event_spill import EventSpill, left_in
from orchestrator.store.migrate import migrate
from orchestrator.store.principals import ensure_owner
from orchestrator.store.turns import EventGap

FINISHED = TurnFinished(finish_reason="stop", cost_microusd=0, duration_ms=1)


class Desk:
    """A recorder with a database and a spill, and turns to log."""

    def __init__(self, folder: Path, database: Database, owner_id: str) -> None:
        self.folder = folder
        self.database = database
        self.owner_id = owner_id
        self.recorder = EventRecorder(database, EventSpill(folder))

    async def begin(self) -> tuple[Turn, TurnLog]:
        accepted = await self.database.write(accept, self.owner_id, NewTurn("Hi"), ())
        assert accepted.started is not None
        log = TurnLog(accepted.turn.id, self.recorder)
        log.show_stored([accepted.started])
        return accepted.turn, log

    async def close(self, turn: Turn, log: TurnLog) -> None:
        kept = log.seal()
        log.show_stored(await self.database.write(close_turn, self.owner_id, turn, kept, STOPPED))

    async def stored(self, turn: Turn) -> list[tuple[int, str]]:
        events = await self.database.read(
            turns.events_after, self.owner_id, turn.id, 0, limit=1_000
        )
        return [(event.seq, event.type) for event in events]

    async def record_for(self, limit_s: float) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.recorder.run()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    path = tmp_path / "chat_sessions.db"
    migrate(path)
    database = Database(path)
    owner = await database.write(ensure_owner)
    yield Desk(tmp_path, database, owner.id)
    await database.close()


def breaks(_conn: Connection) -> None:
    raise ValueError("this change cannot be made")


def works(_conn: Connection) -> None:
    return


async def seen(log: TurnLog) -> list[tuple[int, str]]:
    return [
        (event.seq, event.type) async for events in log.follow(0, idle_s=30) for event in events
    ]


async def test_an_end_that_was_not_stored_is_not_told_beside_the_real_one(desk: Desk) -> None:
    turn, log = await desk.begin()
    log.add_delta("text_delta", "All I know.")
    log.add(FINISHED)
    with pytest.raises(ValueError, match="cannot be made"):
        await log.commit(breaks)
    await desk.close(turn, log)
    expected = [(1, "turn_started"), (2, "text_delta"), (3, "turn_finished")]
    assert await desk.stored(turn) == expected
    assert await seen(log) == expected


async def test_a_commit_behind_a_failed_one_fails_too_and_leaves_no_gap(desk: Desk) -> None:
    turn, log = await desk.begin()
    log.add(Notice(code="first", message="belongs to the change that fails"))
    first = asyncio.create_task(log.commit(breaks))
    await asyncio.sleep(0)
    log.add(Notice(code="second", message="belongs to the change after it"))
    second = asyncio.create_task(log.commit(works))
    await asyncio.wait([first, second])
    assert (type(first.exception()), type(second.exception())) == (ValueError, EventGap)
    await desk.close(turn, log)
    expected = [(1, "turn_started"), (2, "turn_finished")]
    assert await desk.stored(turn) == await seen(log) == expected


async def test_what_was_shown_stays_in_the_spill_until_its_commit_is_through(desk: Desk) -> None:
    turn, log = await desk.begin()
    hold = ThreadEvent()
    holding = asyncio.create_task(desk.database.write(lambda _: hold.wait(10)))
    await asyncio.sleep(0)
    log.add_delta("text_delta", "Seen by somebody.")
    assert log.last_seq == 2
    committing = asyncio.create_task(log.commit(works))
    recording = asyncio.create_task(desk.recorder.run())
    try:
        await asyncio.wait([recording], timeout=0.4)
        assert [event.seq for event in left_in(desk.folder)[turn.id]] == [2]
    finally:
        hold.set()
    await asyncio.wait([holding, committing])
    async with asyncio.timeout(5):
        while left_in(desk.folder):
            await asyncio.wait([recording], timeout=0.05)
    recording.cancel()
    assert [seq for seq, _ in await desk.stored(turn)] == [1, 2]


async def test_a_cancelled_commit_that_fails_leaves_a_log_that_can_be_closed(desk: Desk) -> None:
    turn, log = await desk.begin()
    log.add_delta("text_delta", "Half")
    finished = ToolCallFinished(tool_call_id="call_1", status="done", duration_ms=1, text="")
    log.add(finished)
    committing = asyncio.create_task(log.commit(breaks))
    await asyncio.sleep(0)
    committing.cancel()
    await asyncio.wait([committing])
    await desk.close(turn, log)
    expected = [(1, "turn_started"), (2, "text_delta"), (3, "turn_finished")]
    assert await desk.stored(turn) == await seen(log) == expected


async def test_an_event_that_comes_while_the_turn_is_closed_is_dropped(desk: Desk) -> None:
    turn, log = await desk.begin()
    closing = asyncio.create_task(desk.close(turn, log))
    await asyncio.sleep(0)
    log.emit(ToolCallProgress(tool_call_id="call_1", progress=1))
    await closing
    assert await desk.stored(turn) == await seen(log)
    assert [kind for _, kind in await seen(log)] == ["turn_started", "turn_finished"]


async def test_a_deleted_session_takes_no_other_turn_along(desk: Desk) -> None:
    gone, gone_log = await desk.begin()
    turn, log = await desk.begin()
    await desk.database.write(sessions.remove, desk.owner_id, gone.session_id)
    for one in (gone_log, log):
        one.add_delta("text_delta", "Hello")
    await desk.record_for(0.5)
    assert gone_log.error is not None
    assert log.error is None
    assert await desk.stored(turn) == [(1, "turn_started"), (2, "text_delta")]
