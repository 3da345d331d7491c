"""Rows of `usage`: what each request to a model cost. They outlive the chat they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection, Row, delete, func, select, update

from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.store.schema import turns, usage

Purpose = Literal["chat", "title", "worker", "schedule"]
UsageState = Literal["final", "pending", "estimated"]
"""Whether the vendor has told the cost, is still being asked, or can tell it no more."""

# A row may come twice: with its round, and once more if nobody could see that round stored.
_INSERT = usage.insert().prefix_with("OR IGNORE")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Tokens and cost of one request; money in micro-dollars."""

    session_id: str
    turn_id: str
    """Empty when it was made for no turn."""
    round: int
    purpose: Purpose
    model: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cost_microusd: int
    """The best estimate unless the state is `final`."""
    generation_id: str | None
    state: UsageState = "final"
    message_id: str | None = None
    """The answer it paid for; None when none was stored with it."""
    created_at: str = field(default_factory=now_rfc3339)
    id: str = field(default_factory=lambda: new_id("use"))


@dataclass(frozen=True, slots=True)
class PendingUsage:
    """A row whose cost the vendor has yet to tell."""

    id: str
    owner_id: str
    turn_id: str
    model: str
    generation_id: str
    cost_microusd: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What the vendor says a request cost; tokens that it does not tell stay as they are."""

    cost_microusd: int
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


_FIELDS = tuple(UsageRow.__slots__)


def record(conn: Connection, owner_id: str, rows: Sequence[UsageRow]) -> None:
    """Store what requests cost; a row that is there already stays as it is."""
    if rows:
        conn.execute(
            _INSERT,
            [
                {"owner_id": owner_id, **{name: getattr(row, name) for name in _FIELDS}}
                for row in rows
            ],
        )


def forget_unsettled(conn: Connection, owner_id: str, row_ids: Sequence[str]) -> None:
    """Delete those of the rows that nobody has settled, before better ones are stored."""
    is_meant = (usage.c.owner_id == owner_id, usage.c.id.in_(row_ids), usage.c.state != "final")
    conn.execute(delete(usage).where(*is_meant))


def cost_since(conn: Connection, owner_id: str, moments: Sequence[str]) -> list[int]:
    """Return what the owner spent after each of those RFC 3339 times, in micro-dollars."""
    cost = usage.c.cost_microusd
    sums = [
        func.coalesce(func.sum(cost).filter(usage.c.created_at > since), 0) for since in moments
    ]
    query = select(*sums).where(usage.c.owner_id == owner_id, usage.c.created_at > min(moments))
    return list(conn.execute(query).one())


def cost_of_turn(conn: Connection, owner_id: str, turn_id: str) -> int:
    """Return what the turn has cost so far, in micro-dollars."""
    return conn.execute(
        select(func.coalesce(func.sum(usage.c.cost_microusd), 0)).where(
            usage.c.owner_id == owner_id, usage.c.turn_id == turn_id
        )
    ).scalar_one()


def attach_to_message(conn: Connection, owner_id: str, turn_id: str, message_id: str) -> int:
    """Note which answer the requests of the turn paid for that know of none; return how many."""
    done = conn.execute(
        update(usage)
        .where(usage.c.owner_id == owner_id, usage.c.turn_id == turn_id)
        .where(usage.c.purpose == "chat", usage.c.message_id.is_(None))
        .values(message_id=message_id)
    )
    return done.rowcount


def dearest_of_session(conn: Connection, owner_id: str, session_id: str) -> int:
    """Return what the dearest request of the session cost, in micro-dollars; 0 without one."""
    return conn.execute(
        select(func.coalesce(func.max(usage.c.cost_microusd), 0)).where(
            usage.c.owner_id == owner_id, usage.c.session_id == session_id
        )
    ).scalar_one()


def pending(conn: Connection) -> list[PendingUsage]:
    """Return every row whose cost is not known yet, the oldest first, of all owners."""
    columns = [usage.c[name] for name in PendingUsage.__slots__]
    query = select(*columns).where(usage.c.state == "pending").order_by(usage.c.created_at)
    return [_pending(row) for row in conn.execute(query)]


def settle(conn: Connection, row: PendingUsage, settled: Settled | None) -> None:
    """Store what the request cost, None for what nobody can tell; the turn's cost follows."""
    values: dict[str, int | str] = {"state": "estimated"}
    if settled is not None:
        told = {name: getattr(settled, name) for name in Settled.__slots__}
        values = {name: value for name, value in told.items() if value is not None}
        values["state"] = "final"
    conn.execute(
        update(usage)
        .where(usage.c.owner_id == row.owner_id, usage.c.id == row.id)
        .where(usage.c.state == "pending")
        .values(**values)
    )
    if row.turn_id:
        cost = cost_of_turn(conn, row.owner_id, row.turn_id)
        conn.execute(
            update(turns)
            .where(turns.c.owner_id == row.owner_id, turns.c.id == row.turn_id)
            .where(turns.c.state != "running")
            .values(cost_microusd=cost)
        )


def _pending(row: Row[tuple[str, ...]]) -> PendingUsage:
    return PendingUsage(*row)
