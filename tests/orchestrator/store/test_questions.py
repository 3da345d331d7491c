"""Questions in the store: who waits for a sign-in, and how each one ends, once."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from orchestrator.domain.ids import new_id
from orchestrator.domain.questions import Question, start_path
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import audit, questions, sessions
from orchestrator.store.database import Database
from orchestrator.store.migrate import migrate
from orchestrator.store.principals import ensure_owner
from tests.orchestrator.store.asked import LATER, running_turn


@pytest.fixture
async def database(tmp_path: Path):
    path = tmp_path / "chat_sessions.db"
    migrate(path)
    database = Database(path)
    yield database
    await database.close()


def store_question(conn: Connection, **fields: Any) -> tuple[str, Question]:
    """Store a question in a turn of its own; return its owner and it."""
    owner_id = ensure_owner(conn).id
    session_id, turn_id = running_turn(conn, owner_id)
    question_id = new_id("ques")
    plain: dict[str, Any] = {
        "id": question_id,
        "state": "pending",
        "tool_call_id": new_id("call"),
        "server": "mail",
        "tool": "mail__search",
        "title": "Sign in to Mail",
        "message": "Nobody has signed in.",
        "url": start_path("mail", question_id),
        "account": None,
        "capability": "read",
        "reason": "no_account",
        "session_id": session_id,
        "turn_id": turn_id,
        "created_at": now_rfc3339(),
        "expires_at": LATER,
    }
    question = Question(**{**plain, **fields})
    questions.insert(conn, owner_id, question)
    return owner_id, question


async def test_a_question_is_read_as_it_was_stored(database: Database) -> None:
    owner_id, question = await database.write(store_question, account="a@b.c", reason="ended")
    assert await database.read(questions.get, owner_id, question.id) == question
    assert await database.read(questions.pending_at, owner_id, "mail") == [question]
    assert await database.read(questions.pending_at, owner_id, "calendar") == []
    assert await database.read(questions.waiting) == [(owner_id, "mail")]


async def test_nobody_sees_the_questions_of_another_owner(database: Database) -> None:
    _, question = await database.write(store_question)
    assert await database.read(questions.newest, "somebody else", limit=9) == []
    assert await database.write(questions.answer, "somebody else", [question.id]) == []
    with pytest.raises(NotFound):
        await database.write(questions.decline, "somebody else", question.id, by="web")


async def test_a_question_ends_once(database: Database) -> None:
    owner_id, question = await database.write(store_question)
    [done] = await database.write(questions.answer, owner_id, [question.id])
    assert (done.state, done.answered_at is not None) == ("done", True)
    assert await database.write(questions.answer, owner_id, [question.id]) == []
    assert await database.write(questions.cancel_of_turn, owner_id, question.turn_id) == []
    with pytest.raises(Conflict, match="done"):
        await database.write(questions.decline, owner_id, question.id, by="web")
    assert await database.read(questions.get, owner_id, question.id) == done


async def test_declining_twice_is_declining_once(database: Database) -> None:
    owner_id, question = await database.write(store_question)
    declined = await database.write(questions.decline, owner_id, question.id, by="web")
    assert declined.state == "declined"
    assert await database.write(questions.decline, owner_id, question.id, by="api") == declined
    rows = await database.read(audit.page, owner_id, None, 10)
    assert [(row["action"], row["actor"]) for row in rows] == [("sign_in_declined", "web")]


async def test_what_is_due_expires_and_nothing_else(database: Database) -> None:
    due = "2026-01-01T00:00:00.000Z"
    _, old = await database.write(store_question, expires_at=due)
    owner_id, young = await database.write(store_question)
    assert await database.read(questions.next_expiry) == due
    assert [q.id for q in await database.write(questions.expire_due, due)] == [old.id]
    assert await database.read(questions.next_expiry) == LATER
    assert (await database.read(questions.get, owner_id, young.id)).state == "pending"
    pending = await database.read(questions.newest, owner_id, limit=9, state="pending")
    assert pending == [young]


async def test_questions_go_with_their_session(database: Database) -> None:
    owner_id, question = await database.write(store_question)
    await database.write(sessions.remove, owner_id, question.session_id)
    with pytest.raises(NotFound):
        await database.read(questions.get, owner_id, question.id)
