"""Rows of `approvals`: what waits for the owner, and how it was decided. Every end is audited."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from orchestrator.domain.approvals import Approval, ApprovalState, Decision
from orchestrator.domain.times import now_rfc3339
from orchestrator.errors import Conflict, InvalidRequest, NotFound, TooManyRequests
from orchestrator.store import audit, standing_approvals
from orchestrator.store.paging import decode_cursor, encode_cursor
from orchestrator.store.schema import approvals
from orchestrator.store.tool_calls import arguments_hash

_COLUMNS = [column for column in approvals.c if column.name != "owner_id"]
_PENDING = approvals.c.state == "pending"
_APPROVED = "approval_approved"


def insert(conn: Connection, owner_id: str, approval: Approval) -> None:
    """Store an approval that is pending."""
    conn.execute(approvals.insert(), {"owner_id": owner_id, **approval.model_dump()})


def insert_ticket(
    conn: Connection, owner_id: str, approval: Approval, *, max_pending: int
) -> tuple[Approval, bool]:
    """Store what a server asks for a client of its own; return it, and whether it is new.

    The same call of the same server returns the row it made before. Raises Conflict when that one
    is about other arguments, TooManyRequests when the server has `max_pending` pending ones.
    """
    for earlier in of_call(conn, owner_id, approval.tool_call_id):
        if earlier.server != approval.server or earlier.origin != "client":
            continue
        if _essence(earlier) != _essence(approval):
            raise Conflict(f"The ticket {approval.tool_call_id!r} is about another call.")
        return earlier, False
    pending = select(func.count()).where(
        approvals.c.owner_id == owner_id, approvals.c.server == approval.server, _PENDING
    )
    if conn.execute(pending).scalar_one() >= max_pending:
        raise TooManyRequests(
            f"{max_pending} approvals of {approval.server!r} wait for the owner already."
        )
    insert(conn, owner_id, approval)
    return approval, True


def get(conn: Connection, owner_id: str, approval_id: str) -> Approval:
    """Return the approval. Raises NotFound."""
    found = _found(conn, owner_id, approvals.c.id == approval_id)
    if not found:
        raise NotFound(f"There is no approval {approval_id!r}.")
    return found[0]


def page(
    conn: Connection,
    owner_id: str,
    *,
    limit: int,
    state: ApprovalState | None = None,
    cursor: str | None = None,
) -> tuple[list[Approval], str | None]:
    """Return a page of approvals, the newest first, and the next cursor."""
    query = select(*_COLUMNS).where(approvals.c.owner_id == owner_id)
    if state is not None:
        query = query.where(approvals.c.state == state)
    if cursor is not None:
        created_at, approval_id = decode_cursor(cursor, str, str)
        is_as_old = approvals.c.created_at == created_at
        older = and_(is_as_old, approvals.c.id < approval_id)
        query = query.where(or_(approvals.c.created_at < created_at, older))
    query = query.order_by(approvals.c.created_at.desc(), approvals.c.id.desc())
    found = [Approval(**row) for row in conn.execute(query.limit(limit + 1)).mappings()]
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], encode_cursor(last.created_at, last.id)


def of_turn(conn: Connection, owner_id: str, turn_id: str) -> list[Approval]:
    """Return the approvals a turn asked for, oldest first."""
    return _found(conn, owner_id, approvals.c.turn_id == turn_id)


def of_call(conn: Connection, owner_id: str, tool_call_id: str) -> list[Approval]:
    """Return the approvals of one call, oldest first: a limit may ask a second time."""
    return _found(conn, owner_id, approvals.c.tool_call_id == tool_call_id)


def cancel_of_turn(conn: Connection, owner_id: str, turn_id: str, *, by: str) -> list[Approval]:
    """Cancel what is pending in the turn and return it as it is now."""
    return _end(conn, owner_id, approvals.c.turn_id == turn_id, "cancelled", by)


def cancel_of_session(
    conn: Connection, owner_id: str, session_id: str, *, by: str
) -> list[Approval]:
    """Cancel what is pending in the session, which is about to be deleted with its approvals."""
    return _end(conn, owner_id, approvals.c.session_id == session_id, "cancelled", by)


def next_expiry(conn: Connection) -> str | None:
    """Return when the first of all pending approvals expires."""
    return conn.execute(select(func.min(approvals.c.expires_at)).where(_PENDING)).scalar_one()


def expire_due(conn: Connection, now: str) -> list[tuple[str, Approval]]:
    """Expire what reached its deadline at `now` or before; return (owner id, approval) pairs."""
    due = approvals.c.expires_at <= now
    owners = conn.execute(select(approvals.c.owner_id).where(_PENDING, due).distinct())
    return [
        (owner_id, approval)
        for owner_id in owners.scalars().all()
        for approval in _end(conn, owner_id, due, "expired", "expiry")
    ]


def decide(conn: Connection, owner_id: str, approval_id: str, decision: Decision) -> Approval:
    """Store the decision and return the approval; the same decision again changes nothing.

    A scope beyond `once` also lets the tool stand. Raises NotFound, InvalidRequest for a scope that
    this call cannot have, Conflict when it was decided otherwise or its time is over.
    """
    approval = get(conn, owner_id, approval_id)
    arguments = decision.arguments if decision.approve else None
    if arguments is not None and arguments_hash(arguments) == arguments_hash(approval.arguments):
        arguments = None
    if approval.state != "pending":
        if not _is_repeated(approval, decision, arguments):
            raise Conflict(_what_happened(approval))
        return approval
    now = now_rfc3339()
    if approval.expires_at <= now:
        raise Conflict(f"This approval expired at {approval.expires_at}; nothing ran.")
    if decision.approve:
        _refuse_wrong_scope(approval, decision)
    changes = {
        "state": "approved" if decision.approve else "denied",
        "arguments_to_run": arguments,
        "decided_at": now,
        "decided_by": decision.by,
        "decision_reason": decision.reason,
        "scope": decision.scope if decision.approve else None,
    }
    conn.execute(update(approvals).where(_is(owner_id, approval_id)).values(changes))
    if decision.approve and decision.scope != "once":
        session_id = approval.session_id if decision.scope == "session" else None
        standing_approvals.add(conn, owner_id, approval.tool, session_id, by=decision.by)
    decided = approval.model_copy(update=changes)
    _record(conn, owner_id, decided, decision.by)
    return decided


def approved_hash(conn: Connection, owner_id: str, approval_id: str) -> str | None:
    """Return the hash that the arguments had when they were approved; None when they never were."""
    details = audit.details_of(conn, owner_id, action=_APPROVED, subject=approval_id)
    return None if details is None else details["arguments_hash"]


def set_outcome(conn: Connection, owner_id: str, approval_id: str, outcome: dict[str, Any]) -> None:
    """Store how the call ended that ran on approval."""
    conn.execute(update(approvals).where(_is(owner_id, approval_id)).values(outcome=outcome))


def approved_without_outcome(conn: Connection) -> list[tuple[str, Approval]]:
    """Return (owner id, approval) for each that we run ourselves and whose end is not known.

    That is what a crash between the decision and the end of the call leaves, of all owners.
    """
    rows = conn.execute(
        select(approvals)
        .where(
            approvals.c.state == "approved",
            approvals.c.origin.in_(("client", "api")),
            approvals.c.outcome.is_(None),
        )
        .order_by(approvals.c.decided_at, approvals.c.id)
    ).mappings()
    found: list[tuple[str, Approval]] = []
    for row in rows:
        fields = dict(row)
        found.append((fields.pop("owner_id"), Approval(**fields)))
    return found


def _is(owner_id: str, approval_id: str) -> ColumnElement[bool]:
    return and_(approvals.c.owner_id == owner_id, approvals.c.id == approval_id)


def _found(conn: Connection, owner_id: str, condition: ColumnElement[bool]) -> list[Approval]:
    query = select(*_COLUMNS).where(approvals.c.owner_id == owner_id, condition)
    rows = conn.execute(query.order_by(approvals.c.created_at, approvals.c.id)).mappings()
    return [Approval(**row) for row in rows]


def _end(
    conn: Connection,
    owner_id: str,
    condition: ColumnElement[bool],
    state: ApprovalState,
    by: str,
) -> list[Approval]:
    """End the pending ones that fit without a decision of the owner."""
    changes = {"state": state, "decided_at": now_rfc3339(), "decided_by": by}
    ended = [
        approval.model_copy(update=changes)
        for approval in _found(conn, owner_id, and_(_PENDING, condition))
    ]
    for approval in ended:
        conn.execute(update(approvals).where(_is(owner_id, approval.id)).values(changes))
        _record(conn, owner_id, approval, by)
    return ended


def _record(conn: Connection, owner_id: str, approval: Approval, actor: str) -> None:
    ran = approval.arguments_to_run
    details = {
        "tool": approval.tool,
        "arguments_hash": arguments_hash(approval.arguments if ran is None else ran),
        "tool_call_id": approval.tool_call_id,
        "scope": approval.scope,
        "taint": approval.taint,
    }
    action = f"approval_{approval.state}"
    audit.append(conn, owner_id, actor=actor, action=action, subject=approval.id, details=details)


def _essence(approval: Approval) -> tuple[str, str]:
    return approval.tool, arguments_hash(approval.arguments)


def _is_repeated(approval: Approval, decision: Decision, arguments: dict[str, Any] | None) -> bool:
    """Tell whether this decision is the one that was taken, whoever takes it again."""
    if not decision.approve:
        return approval.state == "denied"
    before = approval.arguments_to_run
    return (
        approval.state == "approved"
        and approval.scope == decision.scope
        and (before is None) == (arguments is None)
        and arguments_hash(before or {}) == arguments_hash(arguments or {})
    )


def _what_happened(approval: Approval) -> str:
    if approval.state == "expired":
        return f"This approval expired at {approval.expires_at}; nothing ran."
    how = approval.state
    if approval.state == "approved":
        changed = " with changed arguments" if approval.arguments_to_run is not None else ""
        how = f"approved ({approval.scope}){changed}"
    return f"This was {how} at {approval.decided_at} by {approval.decided_by}."


def _refuse_wrong_scope(approval: Approval, decision: Decision) -> None:
    if decision.scope == "once":
        return
    if approval.level >= 3:
        raise InvalidRequest("scope: a tool of level 3 is approved once, and asks every time.")
    if approval.origin == "client":
        raise InvalidRequest("scope: what another program asks for is approved once.")
    if decision.scope == "session" and approval.session_id is None:
        raise InvalidRequest("scope: this call belongs to no session; use `once` or `always`.")
