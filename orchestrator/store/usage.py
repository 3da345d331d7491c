"""Rows of `usage`: what each request to a model cost. They outlive the chat they belong to."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.store.schema import usage

_INSERT = usage.insert()


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Tokens and cost of one round; money in micro-dollars."""

    session_id: str
    turn_id: str
    round: int
    purpose: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cost_microusd: int
    generation_id: str | None


def record(conn: Connection, owner_id: str, row: UsageRow) -> None:
    """Store what one request cost."""
    conn.execute(
        _INSERT,
        {
            "id": new_id("use"),
            "owner_id": owner_id,
            "created_at": now_rfc3339(),
            **{name: getattr(row, name) for name in UsageRow.__slots__},
        },
    )


def cost_since(conn: Connection, owner_id: str, since: str) -> int:
    """Return what the owner spent after that RFC 3339 time, in micro-dollars."""
    return conn.execute(
        select(func.coalesce(func.sum(usage.c.cost_microusd), 0)).where(
            usage.c.owner_id == owner_id, usage.c.created_at > since
        )
    ).scalar_one()


def cost_of_turn(conn: Connection, owner_id: str, turn_id: str) -> int:
    """Return what the turn has cost so far, in micro-dollars."""
    return conn.execute(
        select(func.coalesce(func.sum(usage.c.cost_microusd), 0)).where(
            usage.c.owner_id == owner_id, usage.c.turn_id == turn_id
        )
    ).scalar_one()
