"""Counts over an owner's rows, for monitoring."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from orchestrator.store.schema import tool_calls, turns, usage


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is of what."""

    turns: dict[str, int]
    """By state."""
    tool_calls: dict[tuple[str, str], int]
    """By server and state."""
    cost_microusd: int


def figures(conn: Connection, owner_id: str) -> Figures:
    """Return the owner's figures."""
    by_state = conn.execute(
        select(turns.c.state, func.count())
        .where(turns.c.owner_id == owner_id)
        .group_by(turns.c.state)
    )
    by_server = conn.execute(
        select(tool_calls.c.server, tool_calls.c.state, func.count())
        .where(tool_calls.c.owner_id == owner_id)
        .group_by(tool_calls.c.server, tool_calls.c.state)
    )
    cost = conn.execute(
        select(func.coalesce(func.sum(usage.c.cost_microusd), 0)).where(
            usage.c.owner_id == owner_id
        )
    )
    return Figures(
        turns={row.state: row[1] for row in by_state},
        tool_calls={(server, state): count for server, state, count in by_server},
        cost_microusd=cost.scalar_one(),
    )
