"""Counts over an owner's rows, for monitoring."""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from orchestrator.store.schema import tool_calls, turns, usage


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is of what."""

    turns: dict[str, int]
    """By state."""
    tool_calls: dict[tuple[str, str], int]
    """By server and state."""
    cost_microusd: int
    requests: dict[tuple[str, str], tuple[int, int]]
    """By model and purpose: how many requests to models, and what they cost in micro-dollars."""
    usage_pending: int
    """Requests whose cost the vendor has yet to tell."""


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
    by_model = conn.execute(
        select(
            usage.c.model,
            usage.c.purpose,
            func.count(),
            func.sum(usage.c.cost_microusd),
            func.sum(case((usage.c.state == "pending", 1), else_=0)),
        )
        .where(usage.c.owner_id == owner_id)
        .group_by(usage.c.model, usage.c.purpose)
    ).all()
    return Figures(
        turns={row.state: row[1] for row in by_state},
        tool_calls={(server, state): count for server, state, count in by_server},
        cost_microusd=sum(cost for _, _, _, cost, _ in by_model),
        requests={(model, purpose): (count, cost) for model, purpose, count, cost, _ in by_model},
        usage_pending=sum(pending for *_, pending in by_model),
    )
