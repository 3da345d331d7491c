"""Rows of `questions`: the calls that wait for a sign-in, and how that ended."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from orchestrator.domain.questions import Question, QuestionState
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import audit
from orchestrator.store.schema import questions

_COLUMNS = [column for column in questions.c if column.name != "owner_id"]
_PENDING = questions.c.state == "pending"


def insert(conn: Connection, owner_id: str, question: Question) -> None:
    """Store a question that is pending."""
    conn.execute(questions.insert(), {"owner_id": owner_id, **question.model_dump()})


def get(conn: Connection, owner_id: str, question_id: str) -> Question:
    """Return the question. Raises NotFound."""
    found = _found(conn, owner_id, questions.c.id == question_id)
    if not found:
        raise NotFound(f"There is no question {question_id!r}.")
    return found[0]


def newest(
    conn: Connection, owner_id: str, *, limit: int, state: QuestionState | None = None
) -> list[Question]:
    """Return the newest questions, the newest first."""
    query = select(*_COLUMNS).where(questions.c.owner_id == owner_id)
    if state is not None:
        query = query.where(questions.c.state == state)
    query = query.order_by(questions.c.created_at.desc(), questions.c.id.desc()).limit(limit)
    return [Question(**row) for row in conn.execute(query).mappings()]


def of_turn(conn: Connection, owner_id: str, turn_id: str) -> list[Question]:
    """Return the questions of a turn, oldest first: one call may ask more than once."""
    return _found(conn, owner_id, questions.c.turn_id == turn_id)


def pending_at(conn: Connection, owner_id: str, server: str) -> list[Question]:
    """Return what waits for a sign-in at the server, oldest first."""
    return _found(conn, owner_id, and_(_PENDING, questions.c.server == server))


def waiting(conn: Connection) -> list[tuple[str, str]]:
    """Return (owner id, server) for all that waits, of all owners."""
    rows = conn.execute(select(questions.c.owner_id, questions.c.server).where(_PENDING).distinct())
    return [(row.owner_id, row.server) for row in rows]


def next_expiry(conn: Connection) -> str | None:
    """Return when the first of all pending questions expires."""
    return conn.execute(select(func.min(questions.c.expires_at)).where(_PENDING)).scalar_one()


def expire_due(conn: Connection, now: str) -> list[Question]:
    """Expire what reached its deadline at `now` or before, of all owners; return it."""
    due = questions.c.expires_at <= now
    owners = conn.execute(select(questions.c.owner_id).where(_PENDING, due).distinct())
    return [
        question
        for owner_id in owners.scalars().all()
        for question in _end(conn, owner_id, due, "expired")
    ]


def answer(conn: Connection, owner_id: str, question_ids: Sequence[str]) -> list[Question]:
    """Note that somebody signed in; return those that were pending until now."""
    return _end(conn, owner_id, questions.c.id.in_(question_ids), "done")


def decline(conn: Connection, owner_id: str, question_id: str, *, by: str) -> Question:
    """Note that the owner will not sign in; the same again changes nothing.

    Raises NotFound, Conflict when it ended otherwise.
    """
    ended = _end(conn, owner_id, questions.c.id == question_id, "declined")
    if ended:
        audit.append(
            conn,
            owner_id,
            actor=by,
            action="sign_in_declined",
            subject=question_id,
            details={"server": ended[0].server, "tool_call_id": ended[0].tool_call_id},
        )
        return ended[0]
    question = get(conn, owner_id, question_id)
    if question.state != "declined":
        raise Conflict(f"This ended at {question.answered_at}: {question.state}.")
    return question


def cancel_of_turn(conn: Connection, owner_id: str, turn_id: str) -> list[Question]:
    """Cancel what is pending in the turn and return it as it is now."""
    return _end(conn, owner_id, questions.c.turn_id == turn_id, "cancelled")


def _found(conn: Connection, owner_id: str, condition: ColumnElement[bool]) -> list[Question]:
    query = select(*_COLUMNS).where(questions.c.owner_id == owner_id, condition)
    rows = conn.execute(query.order_by(questions.c.created_at, questions.c.id)).mappings()
    return [Question(**row) for row in rows]


def _end(
    conn: Connection, owner_id: str, condition: ColumnElement[bool], state: QuestionState
) -> list[Question]:
    """End the pending ones that fit."""
    changes = {"state": state, "answered_at": now_rfc3339()}
    pending = _found(conn, owner_id, and_(_PENDING, condition))
    ids = [question.id for question in pending]
    if ids:
        is_one = (questions.c.owner_id == owner_id, questions.c.id.in_(ids))
        conn.execute(update(questions).where(*is_one).values(changes))
    return [question.model_copy(update=changes) for question in pending]
