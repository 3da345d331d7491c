"""The database in memory: what it holds, and what it forgets."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection

from orchestrator.domain.chat import Turn
from orchestrator.domain.times import now_rfc3339
from orchestrator.store import sessions, temporary, turns
from orchestrator.store.database import Database

ANN = "own_ann"
LATER = "2100-01-01T00:00:00.000Z"


@pytest.fixture
async def memory() -> AsyncIterator[Database]:
    database = Database(None)
    await database.write(temporary.mirror_owner, ANN, "ann")
    yield database
    await database.close()


def answering(conn: Connection, session_id: str) -> None:
    turn = Turn(
        id="turn_1", session_id=session_id, user_message_id=None, assistant_message_id="msg_1",
        state="running", model="m", created_at=now_rfc3339(),
    )  # fmt: skip
    turns.insert(conn, ANN, turn, client_message_id=None, parent_message_id=None, settings={})


async def test_it_tells_what_it_holds(memory: Database) -> None:
    session = await memory.write(sessions.create, ANN, "Secret")
    await memory.write(answering, session.id)
    assert await memory.read(temporary.holds, [session.id])
    assert await memory.read(temporary.holds, ["other", "turn_1"])
    assert not await memory.read(temporary.holds, ["ses_other"])
    assert not await memory.read(temporary.holds, [])


async def test_it_forgets_what_is_idle_and_does_not_answer(memory: Database) -> None:
    idle = await memory.write(sessions.create, ANN, "Idle")
    busy = await memory.write(sessions.create, ANN, "Busy")
    await memory.write(answering, busy.id)
    assert await memory.write(temporary.forget_idle, idle.created_at) == 2
    assert await memory.write(temporary.forget_idle, LATER) == 1
    assert not await memory.read(temporary.holds, [idle.id])
    assert await memory.read(temporary.holds, [busy.id])


async def test_a_write_that_fails_leaves_nothing_in_memory(memory: Database) -> None:
    def fail(conn: Connection) -> None:
        sessions.create(conn, ANN, "Half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await memory.write(fail)
    assert (await memory.read(sessions.listed, ANN, limit=5))[0] == []


async def test_two_databases_in_memory_do_not_know_each_other(memory: Database) -> None:
    session = await memory.write(sessions.create, ANN, "Mine")
    other = Database(None)
    assert not await other.read(temporary.holds, [session.id])
    await other.close()
