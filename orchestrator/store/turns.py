"""Rows of `turns` and their append-only `turn_events`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, exists, func, or_, select, update

from orchestrator.domain.chat import FinishReason, Turn, TurnError, TurnState
from orchestrator.domain.model_settings import SessionSettings
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import NotFound
from orchestrator.store.access_schema import owners
from orchestrator.store.schema import turn_events, turns

# Statements of every turn are built once: building costs more than running them.
_INSERT = turns.insert()
_INSERT_EVENTS = turn_events.insert()
# The first of a batch is stored only behind the one before it, so a log never has a gap.
_INSERT_FIRST_EVENTS = (
    turn_events.insert()
    .from_select(
        ["turn_id", "seq", "type", "data"],
        select(
            bindparam("turn_id", type_=turn_events.c.turn_id.type),
            bindparam("seq", type_=turn_events.c.seq.type),
            bindparam("type", type_=turn_events.c.type.type),
            bindparam("data", type_=turn_events.c.data.type),
        ).where(
            or_(
                bindparam("before", type_=turn_events.c.seq.type) == 0,
                exists().where(
                    turn_events.c.turn_id == bindparam("turn_id"),
                    turn_events.c.seq == bindparam("before"),
                ),
            )
        ),
    )
    .execution_options(preserve_rowcount=True)
)
_BY_CLIENT_MESSAGE = select(turns).where(
    turns.c.owner_id == bindparam("owner"),
    turns.c.client_message_id == bindparam("client_message"),
)
_FINISH = (
    update(turns)
    .where(turns.c.owner_id == bindparam("owner"), turns.c.id == bindparam("turn"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "state",
                "last_seq",
                "cost_microusd",
                "finish_reason",
                "error",
                "finished_at",
                "waiting_since",
            )
        }
    )
)


class EventGap(Exception):
    """An event cannot be stored: the one before it was not, or its turn was deleted."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is stored and sent: `data` is its JSON text in UTF-8."""

    seq: int
    type: str
    data: bytes


def insert(
    conn: Connection,
    owner_id: str,
    turn: Turn,
    *,
    client_message_id: str | None,
    parent_message_id: str | None,
    settings: dict[str, Any],
) -> None:
    """Store a new running turn."""
    row = turn.model_dump(exclude={"error"})
    row |= {"owner_id": owner_id, "client_message_id": client_message_id, "settings": settings}
    conn.execute(_INSERT, {**row, "parent_message_id": parent_message_id})


def get(conn: Connection, owner_id: str, turn_id: str) -> Turn:
    """Return the turn. Raises NotFound."""
    row = conn.execute(_select(owner_id).where(turns.c.id == turn_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no turn {turn_id!r}.")
    return _turn(row)


def with_client_message(conn: Connection, owner_id: str, client_message_id: str) -> Turn | None:
    """Return the turn that this message of the client started, if it did."""
    row = conn.execute(
        _BY_CLIENT_MESSAGE, {"owner": owner_id, "client_message": client_message_id}
    ).one_or_none()
    return _turn(row) if row else None


def last_about(conn: Connection, owner_id: str, session_id: str, message_id: str) -> Turn | None:
    """Return the newest turn that answers this message of the owner."""
    is_about = (turns.c.session_id == session_id, turns.c.user_message_id == message_id)
    query = _select(owner_id).where(*is_about)
    row = conn.execute(query.order_by(turns.c.created_at.desc()).limit(1)).one_or_none()
    return _turn(row) if row else None


def with_ids(conn: Connection, owner_id: str, turn_ids: set[str]) -> list[Turn]:
    """Return those of the turns that exist, oldest first."""
    query = _select(owner_id).where(turns.c.id.in_(turn_ids)).order_by(turns.c.created_at)
    return [_turn(row) for row in conn.execute(query)]


def left_running(conn: Connection) -> list[tuple[str, Turn]]:
    """Return (owner id, turn) for every turn that a crash left running, of all owners.

    Those that wait for approvals are not among them: they lost nothing.
    """
    return _running(conn, turns.c.waiting_since.is_(None))


def left_waiting(conn: Connection) -> list[tuple[str, Turn]]:
    """Return (owner id, turn) for every turn that waits for approvals, of all owners."""
    return _running(conn, turns.c.waiting_since.is_not(None))


def wait(conn: Connection, owner_id: str, turn_id: str) -> None:
    """Note that the next step of the turn is to wait for approvals."""
    _set_waiting(conn, owner_id, turn_id, now_rfc3339())


def end_waiting(conn: Connection, owner_id: str, turn_id: str) -> None:
    """Note that the turn runs again."""
    _set_waiting(conn, owner_id, turn_id, None)


def finish(
    conn: Connection,
    owner_id: str,
    turn_id: str,
    *,
    state: TurnState,
    last_seq: int,
    cost_microusd: int,
    finish_reason: FinishReason | None = None,
    error: TurnError | None = None,
) -> None:
    """Store how the turn ended."""
    conn.execute(
        _FINISH,
        {
            "owner": owner_id,
            "turn": turn_id,
            "new_state": state,
            "new_last_seq": last_seq,
            "new_cost_microusd": cost_microusd,
            "new_finish_reason": finish_reason,
            "new_error": error.model_dump() if error else None,
            "new_finished_at": now_rfc3339(),
            "new_waiting_since": None,
        },
    )


def settings_of(conn: Connection, owner_id: str, turn_id: str) -> SessionSettings:
    """Return what the turn does differently from its session."""
    query = select(turns.c.settings).where(turns.c.owner_id == owner_id, turns.c.id == turn_id)
    return SessionSettings.model_validate(conn.execute(query).scalar_one())


def parent_message_id(conn: Connection, owner_id: str, turn_id: str) -> str | None:
    """Return the message that the first message of the turn hangs under."""
    return conn.execute(
        select(turns.c.parent_message_id).where(turns.c.owner_id == owner_id, turns.c.id == turn_id)
    ).scalar_one()


def append_events(conn: Connection, events: Sequence[tuple[str, StoredEvent]]) -> None:
    """Store (turn id, event) pairs; a sequence number that exists is refused by the key.

    Raises EventGap.
    """
    for turn_id in append_where_whole(conn, events):
        raise EventGap(f"The events of turn {turn_id!r} do not follow on those that are stored.")


def append_where_whole(conn: Connection, events: Sequence[tuple[str, StoredEvent]]) -> set[str]:
    """Store what leaves no gap; return the ids of the turns whose events were left out.

    The events of each turn must follow on one another.
    """
    firsts: dict[str, StoredEvent] = {}
    others: list[tuple[str, StoredEvent]] = []
    for turn_id, event in events:
        if firsts.setdefault(turn_id, event) is not event:
            others.append((turn_id, event))
    left_out: set[str] = set()
    if firsts:
        rows = [
            {**_event_row(turn_id, event), "before": event.seq - 1}
            for turn_id, event in firsts.items()
        ]
        if conn.execute(_INSERT_FIRST_EVENTS, rows).rowcount < len(rows):
            left_out = {
                turn_id for turn_id, event in firsts.items() if _last_seq(conn, turn_id) < event.seq
            }
    rest = [_event_row(turn_id, event) for turn_id, event in others if turn_id not in left_out]
    if rest:
        conn.execute(_INSERT_EVENTS, rest)
    return left_out


def restore_events(conn: Connection, left: Mapping[str, Sequence[StoredEvent]]) -> None:
    """Store what a killed process left of turns that are still running, up to the first gap."""
    running = select(turns.c.id).where(turns.c.state == "running", turns.c.id.in_(left))
    for turn_id in conn.execute(running).scalars().all():
        seq = _last_seq(conn, turn_id)
        for event in left[turn_id]:
            if event.seq == seq + 1:
                append_events(conn, [(turn_id, event)])
                seq = event.seq


def events_after(
    conn: Connection, owner_id: str, turn_id: str, after: int, *, limit: int
) -> list[StoredEvent]:
    """Return the events of the owner's turn whose sequence number is above `after`."""
    rows = conn.execute(
        select(turn_events.c.seq, turn_events.c.type, turn_events.c.data)
        .join(turns, turns.c.id == turn_events.c.turn_id)
        .where(turns.c.owner_id == owner_id, turns.c.id == turn_id, turn_events.c.seq > after)
        .order_by(turn_events.c.seq)
        .limit(limit)
    )
    return [StoredEvent(row.seq, row.type, row.data) for row in rows]


def _running(conn: Connection, condition: ColumnElement[bool]) -> list[tuple[str, Turn]]:
    query = (
        select(owners.c.id.label("of_owner"), turns)
        .join(turns, turns.c.owner_id == owners.c.id)
        .where(turns.c.state == "running", condition)
        .order_by(turns.c.created_at)
    )
    return [(row.of_owner, _turn(row)) for row in conn.execute(query)]


def _set_waiting(conn: Connection, owner_id: str, turn_id: str, since: str | None) -> None:
    conn.execute(
        update(turns)
        .where(turns.c.owner_id == owner_id, turns.c.id == turn_id)
        .values(waiting_since=since)
    )


def _event_row(turn_id: str, event: StoredEvent) -> dict[str, Any]:
    return {"turn_id": turn_id, "seq": event.seq, "type": event.type, "data": event.data}


def _last_seq(conn: Connection, turn_id: str) -> int:
    return conn.execute(
        select(func.coalesce(func.max(turn_events.c.seq), 0)).where(
            turn_events.c.turn_id == turn_id
        )
    ).scalar_one()


def _select(owner_id: str) -> Any:
    return select(turns).where(turns.c.owner_id == owner_id)


def _turn(row: Row[Any]) -> Turn:
    return Turn(
        id=row.id,
        session_id=row.session_id,
        user_message_id=row.user_message_id,
        assistant_message_id=row.assistant_message_id,
        state=row.state,
        model=row.model,
        finish_reason=row.finish_reason,
        error=TurnError(**row.error) if row.error else None,
        cost_microusd=row.cost_microusd,
        created_at=row.created_at,
        finished_at=row.finished_at,
        waiting_since=row.waiting_since,
        last_seq=row.last_seq,
    )
