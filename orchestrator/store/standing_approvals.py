"""Rows of `standing_approvals`: tools the owner need not be asked about again."""

from collections.abc import Collection

from sqlalchemy import Connection, or_, select, update

from orchestrator.domain.approvals import StandingApproval
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import NotFound
from orchestrator.store import audit
from orchestrator.store.schema import standing_approvals as standing


def add(conn: Connection, owner_id: str, tool: str, session_id: str | None, *, by: str) -> None:
    """Let the tool stand in the session, or everywhere without one; twice is as good as once."""
    present = select(standing.c.id).where(
        standing.c.owner_id == owner_id,
        standing.c.tool == tool,
        standing.c.session_id.is_not_distinct_from(session_id),
        standing.c.revoked_at.is_(None),
    )
    if conn.execute(present).first() is not None:
        return
    entry = StandingApproval(
        id=new_id("stand"),
        tool=tool,
        session_id=session_id,
        created_at=now_rfc3339(),
        created_by=by,
    )
    conn.execute(standing.insert(), {"owner_id": owner_id, **entry.model_dump()})


def tools_of(conn: Connection, owner_id: str, session_id: str | None) -> frozenset[str]:
    """Return the qualified names of the tools that stand everywhere or in this session."""
    rows = conn.execute(
        select(standing.c.tool).where(
            standing.c.owner_id == owner_id,
            standing.c.revoked_at.is_(None),
            or_(standing.c.session_id.is_(None), standing.c.session_id == session_id),
        )
    )
    return frozenset(rows.scalars())


def listed(conn: Connection, owner_id: str) -> list[StandingApproval]:
    """Return those in force, oldest first."""
    rows = conn.execute(
        select(*standing.c["id", "tool", "session_id", "created_at", "created_by"])
        .where(standing.c.owner_id == owner_id, standing.c.revoked_at.is_(None))
        .order_by(standing.c.id)
    ).mappings()
    return [StandingApproval(**row) for row in rows]


def revoke(conn: Connection, owner_id: str, standing_id: str, *, actor: str) -> None:
    """End one; the next call of its tool asks again. Raises NotFound when none is in force."""
    tool = conn.execute(
        update(standing)
        .where(
            standing.c.owner_id == owner_id,
            standing.c.id == standing_id,
            standing.c.revoked_at.is_(None),
        )
        .values(revoked_at=now_rfc3339())
        .returning(standing.c.tool)
    ).scalar_one_or_none()
    if tool is None:
        raise NotFound(f"There is no standing approval {standing_id!r} in force.")
    audit.append(
        conn,
        owner_id,
        actor=actor,
        action="standing_approval_revoked",
        subject=standing_id,
        details={"tool": tool},
    )


def revoke_of_others(
    conn: Connection, owner_id: str, servers: Collection[str], *, actor: str
) -> None:
    """End those for tools of servers that are not among `servers` any more.

    A server that comes back under the same id may be another one.
    """
    for given in listed(conn, owner_id):
        if given.tool.partition("__")[0] not in servers:
            revoke(conn, owner_id, given.id, actor=actor)
