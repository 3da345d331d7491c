"""Approvals as the store keeps them: each decided once, each end in the audit trail."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, select

from orchestrator.domain.approvals import Approval, Decision
from orchestrator.errors import Conflict, InvalidRequest, NotFound, TooManyRequests
from orchestrator.store import approvals, audit, schema, sessions, standing_approvals
from orchestrator.store.database import Database
from orchestrator.store.tool_calls import arguments_hash
from tests.orchestrator.store.asked import asked, running_turn

ANN = "own_ann"
YES = Decision(approve=True, by="web")
NO = Decision(approve=False, by="web", reason="Not to her.")


async def kept(database: Database, **fields: Any) -> Approval:
    approval = asked(**fields)
    await database.write(approvals.insert, ANN, approval)
    return approval


async def of_turn(database: Database, **fields: Any) -> Approval:
    session_id, turn_id = await database.write(running_turn, ANN)
    return await kept(database, session_id=session_id, turn_id=turn_id, **fields)


async def decide(database: Database, approval: Approval, decision: Decision) -> Approval:
    return await database.write(approvals.decide, ANN, approval.id, decision)


async def audited(database: Database) -> list[tuple[str, str, str, dict[str, Any]]]:
    def rows(conn: Connection) -> list[tuple[str, str, str, dict[str, Any]]]:
        columns = schema.audit.c["actor", "action", "subject", "details"]
        query = select(*columns).where(schema.audit.c.owner_id == ANN)
        return [tuple(row) for row in conn.execute(query.order_by(schema.audit.c.position))]

    assert await database.read(audit.first_broken_row, ANN) is None
    return await database.read(rows)


async def test_what_is_stored_comes_back_whole(database: Database) -> None:
    approval = await of_turn(database, taint=["mail from eve"], undoable=True, account="ann")
    assert await database.read(approvals.get, ANN, approval.id) == approval
    turn_id = approval.turn_id or ""
    assert await database.read(approvals.of_turn, ANN, turn_id) == [approval]
    assert await database.read(approvals.of_call, ANN, approval.tool_call_id) == [approval]


async def test_an_approval_is_decided_and_audited_in_one_transaction(database: Database) -> None:
    approval = await of_turn(database, taint=["mail from eve"])
    decided = await decide(database, approval, YES)
    assert (decided.state, decided.decided_by, decided.scope) == ("approved", "web", "once")
    assert await database.read(approvals.get, ANN, approval.id) == decided
    [(actor, action, subject, details)] = await audited(database)
    assert (actor, action, subject) == ("web", "approval_approved", approval.id)
    assert details == {
        "tool": "mail__send",
        "arguments_hash": arguments_hash(approval.arguments),
        "tool_call_id": approval.tool_call_id,
        "scope": "once",
        "taint": ["mail from eve"],
    }


async def test_a_denial_keeps_its_reason_and_grants_no_scope(database: Database) -> None:
    approval = await of_turn(database)
    decided = await decide(database, approval, NO.model_copy(update={"scope": "always"}))
    assert (decided.state, decided.decision_reason, decided.scope) == ("denied", NO.reason, None)
    assert await database.read(standing_approvals.listed, ANN) == []
    assert [row[1] for row in await audited(database)] == ["approval_denied"]


async def test_changed_arguments_are_what_runs_and_what_is_audited(database: Database) -> None:
    approval = await of_turn(database)
    changed = {"to": "bo@example.org", "body": "Hello"}
    decided = await decide(database, approval, YES.model_copy(update={"arguments": changed}))
    assert (decided.arguments, decided.arguments_to_run) == (approval.arguments, changed)
    [(_, _, _, details)] = await audited(database)
    assert details["arguments_hash"] == arguments_hash(changed)


async def test_arguments_that_did_not_change_are_not_changed_arguments(database: Database) -> None:
    approval = await of_turn(database, arguments={"n": 1, "b": {"x": 1, "y": 2}})
    same = YES.model_copy(update={"arguments": {"b": {"y": 2, "x": 1}, "n": 1}})
    assert (await decide(database, approval, same)).arguments_to_run is None
    other = await of_turn(database, arguments={"n": 1})
    truth = YES.model_copy(update={"arguments": {"n": True}})
    assert (await decide(database, other, truth)).arguments_to_run == {"n": True}


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (YES, YES.model_copy(update={"by": "terminal"})),
        (NO, NO.model_copy(update={"by": "api", "reason": None})),
        (YES.model_copy(update={"arguments": {"n": 1}}),) * 2,
        (YES.model_copy(update={"scope": "session"}),) * 2,
    ],
)
async def test_the_same_decision_again_changes_nothing(
    database: Database, first: Decision, again: Decision
) -> None:
    approval = await of_turn(database)
    decided = await decide(database, approval, first)
    assert await decide(database, approval, again) == decided
    assert len(await audited(database)) == 1


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (YES, NO),
        (NO, YES),
        (YES, YES.model_copy(update={"scope": "always"})),
        (YES, YES.model_copy(update={"arguments": {"n": 1}})),
        (YES.model_copy(update={"arguments": {}}), YES),
    ],
)
async def test_another_decision_is_refused_and_names_the_first(
    database: Database, first: Decision, other: Decision
) -> None:
    approval = await of_turn(database)
    decided = await decide(database, approval, first)
    with pytest.raises(Conflict, match=rf"{decided.state}.* by web"):
        await decide(database, approval, other)
    assert await database.read(approvals.get, ANN, approval.id) == decided
    assert len(await audited(database)) == 1


async def test_of_two_tabs_that_decide_at_once_one_decides(database: Database) -> None:
    approval = await of_turn(database)
    tasks = [asyncio.create_task(decide(database, approval, each)) for each in (YES, NO, YES, NO)]
    await asyncio.wait(tasks)
    states = [task.result().state for task in tasks if task.exception() is None]
    assert states == ["approved", "approved"]
    assert all(isinstance(task.exception(), Conflict) for task in (tasks[1], tasks[3]))
    assert len(await audited(database)) == 1


async def test_a_scope_lets_the_tool_stand_until_it_is_revoked(database: Database) -> None:
    here = await of_turn(database, tool="mail__label")
    everywhere = await of_turn(database, tool="mail__archive")
    await decide(database, here, YES.model_copy(update={"scope": "session"}))
    await decide(database, everywhere, YES.model_copy(update={"scope": "always"}))
    tools_of = standing_approvals.tools_of
    both = frozenset({"mail__label", "mail__archive"})
    assert await database.read(tools_of, ANN, here.session_id) == both
    assert await database.read(tools_of, ANN, everywhere.session_id) == {"mail__archive"}
    assert await database.read(tools_of, ANN, None) == {"mail__archive"}
    assert await database.read(tools_of, "own_bo", here.session_id) == frozenset()
    listed = await database.read(standing_approvals.listed, ANN)
    assert [(one.tool, one.session_id, one.created_by) for one in listed] == [
        ("mail__label", here.session_id, "web"),
        ("mail__archive", None, "web"),
    ]
    for one in listed:
        await database.write(standing_approvals.revoke, ANN, one.id, actor="test")
    assert await database.read(tools_of, ANN, here.session_id) == frozenset()
    with pytest.raises(NotFound):
        await database.write(standing_approvals.revoke, ANN, listed[0].id, actor="test")
    assert [row[1] for row in await audited(database)][2:] == ["standing_approval_revoked"] * 2


async def test_a_tool_stands_once_however_often_it_is_approved(database: Database) -> None:
    always = YES.model_copy(update={"scope": "always"})
    for _ in range(2):
        await decide(database, await of_turn(database), always)
    assert len(await database.read(standing_approvals.listed, ANN)) == 1


@pytest.mark.parametrize("scope", ["session", "always"])
async def test_level_3_and_tickets_are_approved_once_only(database: Database, scope: str) -> None:
    decision = YES.model_copy(update={"scope": scope})
    for approval in (await of_turn(database, level=3), await kept(database)):
        with pytest.raises(InvalidRequest, match=r"^scope: "):
            await decide(database, approval, decision)
        assert (await database.read(approvals.get, ANN, approval.id)).state == "pending"
    assert await audited(database) == []


async def test_a_call_without_a_session_cannot_be_approved_for_one(database: Database) -> None:
    approval = await kept(database, origin="api")
    with pytest.raises(InvalidRequest, match="no session"):
        await decide(database, approval, YES.model_copy(update={"scope": "session"}))
    always = await decide(database, approval, YES.model_copy(update={"scope": "always"}))
    assert always.state == "approved"


async def test_the_deadline_itself_is_too_late(database: Database) -> None:
    deadline = "2026-11-20T12:00:00.000Z"
    due = await of_turn(database, expires_at=deadline)
    later = await of_turn(database, expires_at="2026-11-20T12:00:00.001Z")
    assert await database.read(approvals.next_expiry) == deadline
    assert await database.write(approvals.expire_due, "2026-11-20T11:59:59.999Z") == []
    [(owner_id, expired)] = await database.write(approvals.expire_due, deadline)
    assert (owner_id, expired.id, expired.state, expired.decided_by) == (
        ANN,
        due.id,
        "expired",
        "expiry",
    )
    assert (await database.read(approvals.get, ANN, later.id)).state == "pending"
    assert await database.write(approvals.expire_due, deadline) == []
    assert [row[:3] for row in await audited(database)] == [("expiry", "approval_expired", due.id)]


async def test_what_is_due_cannot_be_decided_even_before_it_is_expired(database: Database) -> None:
    approval = await of_turn(database, expires_at="2026-11-20T12:00:00.000Z")
    with pytest.raises(Conflict, match=r"expired at 2026-11-20T12:00:00\.000Z"):
        await decide(database, approval, YES)
    await database.write(approvals.expire_due, "2026-11-20T12:00:00.000Z")
    with pytest.raises(Conflict, match=r"expired at 2026-11-20T12:00:00\.000Z"):
        await decide(database, approval, YES)
    assert [row[1] for row in await audited(database)] == ["approval_expired"]


async def test_stop_cancels_only_what_is_pending_in_its_turn(database: Database) -> None:
    first = await of_turn(database)
    turn = {"turn_id": first.turn_id, "session_id": first.session_id}
    done, other = await kept(database, **turn), await of_turn(database)
    await decide(database, done, YES)
    turn_id = first.turn_id or ""
    [cancelled] = await database.write(approvals.cancel_of_turn, ANN, turn_id, by="stop")
    assert (cancelled.id, cancelled.state, cancelled.decided_by) == (first.id, "cancelled", "stop")
    assert await database.write(approvals.cancel_of_turn, ANN, turn_id, by="stop") == []
    assert (await database.read(approvals.get, ANN, other.id)).state == "pending"
    with pytest.raises(Conflict, match=r"cancelled at .* by stop"):
        await decide(database, first, YES)
    assert [row[1] for row in await audited(database)] == [
        "approval_approved",
        "approval_cancelled",
    ]


async def test_a_deleted_session_leaves_only_the_audit_of_its_approvals(database: Database) -> None:
    approval = await of_turn(database)
    session_id = approval.session_id or ""
    standing = YES.model_copy(update={"scope": "session"})
    await decide(database, await kept(database, session_id=session_id, origin="turn"), standing)
    [ended] = await database.write(approvals.cancel_of_session, ANN, session_id, by="web")
    assert ended.id == approval.id
    await database.write(sessions.remove, ANN, session_id)
    with pytest.raises(NotFound):
        await database.read(approvals.get, ANN, approval.id)
    assert await database.read(standing_approvals.listed, ANN) == []
    assert [row[1] for row in await audited(database)] == [
        "approval_approved",
        "approval_cancelled",
    ]


async def test_pages_give_every_approval_once_the_newest_first(database: Database) -> None:
    at = "2026-11-20T10:00:00.000Z"
    made = [await kept(database, created_at=at) for _ in range(3)]
    made.append(await kept(database, created_at="2026-11-20T10:00:00.001Z"))
    await decide(database, made[1], NO)
    seen: list[str] = []
    cursor = None
    for _ in range(2):
        found, cursor = await database.read(approvals.page, ANN, limit=2, cursor=cursor)
        seen += [approval.id for approval in found]
    assert cursor is None
    assert seen == [made[number].id for number in (3, 2, 1, 0)]
    pending, _ = await database.read(approvals.page, ANN, limit=9, state="pending")
    assert [approval.id for approval in pending] == [made[number].id for number in (3, 2, 0)]
    assert await database.read(approvals.page, "own_bo", limit=9) == ([], None)


async def test_another_owner_cannot_see_or_decide(database: Database) -> None:
    approval = await of_turn(database)
    for ask in (
        database.read(approvals.get, "own_bo", approval.id),
        database.write(approvals.decide, "own_bo", approval.id, YES),
    ):
        with pytest.raises(NotFound):
            await ask
    turn_id = approval.turn_id or ""
    assert await database.write(approvals.cancel_of_turn, "own_bo", turn_id, by="stop") == []


async def test_an_approved_call_is_due_until_its_outcome_is_known(database: Database) -> None:
    approved, turn = await kept(database, origin="api"), await of_turn(database)
    await kept(database)
    for approval in (approved, turn):
        await decide(database, approval, YES)
    [(owner_id, due)] = await database.read(approvals.approved_without_outcome)
    assert (owner_id, due.id) == (ANN, approved.id)
    outcome = {"status": "done", "text": "Sent.", "error": None}
    await database.write(approvals.set_outcome, ANN, approved.id, outcome)
    assert await database.read(approvals.approved_without_outcome) == []
    assert (await database.read(approvals.get, ANN, approved.id)).outcome == outcome


async def test_a_ticket_asks_once_and_a_server_not_without_end(database: Database) -> None:
    def ticket(approval: Approval) -> Any:
        return database.write(approvals.insert_ticket, ANN, approval, max_pending=2)

    first = asked(tool_call_id="ticket_1")
    assert await ticket(first) == (first, True)
    assert await ticket(asked(tool_call_id="ticket_1")) == (first, False)
    with pytest.raises(Conflict, match="another call"):
        await ticket(asked(tool_call_id="ticket_1", arguments={}))
    assert (await ticket(asked(tool_call_id="ticket_1", server="files")))[1]
    second = asked(tool_call_id="ticket_2")
    assert await ticket(second) == (second, True)
    with pytest.raises(TooManyRequests):
        await ticket(asked(tool_call_id="ticket_3"))
    assert await ticket(asked(tool_call_id="ticket_2")) == (second, False)
    decided = await decide(database, first, NO)
    assert await ticket(asked(tool_call_id="ticket_1")) == (decided, False)
    assert (await ticket(asked(tool_call_id="ticket_3")))[1]


async def test_what_stood_for_a_server_that_left_does_not_stand_for_its_successor(
    database: Database,
):
    for tool in ("mail__send", "notes__write"):
        await database.write(standing_approvals.add, ANN, tool, None, by="web")
    await database.write(standing_approvals.revoke_of_others, ANN, {"notes"}, actor="start-up")
    assert await database.read(standing_approvals.tools_of, ANN, None) == {"notes__write"}
