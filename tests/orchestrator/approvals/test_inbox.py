"""The inbox: many wait, one decides, the clock decides the rest, a crash loses nothing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.approvals.inbox import Inbox
from orchestrator.background import running
from orchestrator.domain.approvals import Approval, Decision
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import approvals
from orchestrator.store.database import Database
from tests.orchestrator.store.asked import asked, running_turn

ANN = "own_ann"
YES = Decision(approve=True, by="web")
NO = Decision(approve=False, by="terminal", reason="Not now.")


@asynccontextmanager
async def opened(database: Database) -> AsyncGenerator[Inbox]:
    inbox = Inbox(database)
    async with running(inbox.keep_deadlines()):
        yield inbox


async def kept(database: Database, **fields: Any) -> Approval:
    approval = asked(**fields)
    await database.write(approvals.insert, ANN, approval)
    return approval


async def waiting(inbox: Inbox, approval: Approval) -> asyncio.Task[Approval]:
    """A task that has begun to wait."""
    task = asyncio.create_task(inbox.wait(ANN, approval.id))
    await asyncio.sleep(0)
    assert approval.id in inbox._waiters._waiting
    return task


async def test_all_who_wait_see_the_decision(database: Database) -> None:
    async with opened(database) as inbox:
        approval = await kept(database)
        tasks = [await waiting(inbox, approval) for _ in range(3)]
        decided = await inbox.decide(ANN, approval.id, YES)
        assert [await task for task in tasks] == [decided] * 3
        assert await inbox.wait(ANN, approval.id) == decided
        assert inbox._waiters._waiting == {}


async def test_one_who_stops_waiting_takes_nothing_from_the_others(database: Database) -> None:
    async with opened(database) as inbox:
        approval = await kept(database)
        leaving, staying = await waiting(inbox, approval), await waiting(inbox, approval)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        decided = await inbox.decide(ANN, approval.id, NO)
        assert await staying == decided
        assert inbox._waiters._waiting == {}


async def test_a_decision_while_the_row_is_read_is_not_missed(database: Database) -> None:
    async with opened(database) as inbox:
        for _ in range(50):
            approval = await kept(database)
            async with asyncio.TaskGroup() as group:
                wait = group.create_task(inbox.wait(ANN, approval.id))
                group.create_task(inbox.decide(ANN, approval.id, YES))
            assert wait.result().state == "approved"


async def test_nobody_waits_for_what_is_not_theirs(database: Database) -> None:
    async with opened(database) as inbox:
        approval = await kept(database)
        mine = await waiting(inbox, approval)
        for owner_id, approval_id in (("own_bo", approval.id), (ANN, "appr_none")):
            with pytest.raises(NotFound):
                await inbox.wait(owner_id, approval_id)
        await inbox.decide(ANN, approval.id, YES)
        assert (await mine).state == "approved"
        assert inbox._waiters._waiting == {}


async def test_two_tabs_that_decide_at_once_get_one_answer_and_one_call(
    database: Database,
) -> None:
    async with opened(database) as inbox:
        ran: list[str] = []
        inbox.on_approved(lambda _, approval: ran.append(approval.id))
        approval = await kept(database)
        tabs = [
            asyncio.create_task(inbox.decide(ANN, approval.id, each)) for each in (YES, NO, YES)
        ]
        await asyncio.wait(tabs)
        assert (await tabs[0], await tabs[2]) == (await inbox.wait(ANN, approval.id),) * 2
        assert isinstance(tabs[1].exception(), Conflict)
        assert ran == [approval.id]


async def test_only_what_no_turn_waits_for_is_handed_on_to_be_run(database: Database) -> None:
    async with opened(database) as inbox:
        ran: list[tuple[str, str]] = []
        inbox.on_approved(lambda owner_id, approval: ran.append((owner_id, approval.id)))
        session_id, turn_id = await database.write(running_turn, ANN)
        in_turn = await kept(database, session_id=session_id, turn_id=turn_id)
        denied, approved = await kept(database), await kept(database, origin="api")
        for approval, decision in ((in_turn, YES), (denied, NO), (approved, YES)):
            await inbox.decide(ANN, approval.id, decision)
        assert ran == [(ANN, approved.id)]


async def test_the_deadline_wakes_who_waits(database: Database) -> None:
    async with opened(database) as inbox:
        soon = to_rfc3339(utc_now() + timedelta(milliseconds=150))
        far, approval = await kept(database), asked(expires_at=soon)
        await database.write(approvals.insert, ANN, approval)
        inbox.note([far, approval])
        expired = await inbox.wait(ANN, approval.id)
        assert (expired.state, expired.decided_by) == ("expired", "expiry")
        assert (expired.decided_at or "") >= soon
        with pytest.raises(Conflict, match="expired at"):
            await inbox.decide(ANN, approval.id, YES)
        assert (await database.read(approvals.get, ANN, far.id)).state == "pending"


async def test_a_decision_after_the_deadline_is_too_late_even_before_the_row_says_so(
    database: Database,
) -> None:
    approval = await kept(database, expires_at="2026-11-20T10:00:00.000Z")
    for decision in (YES, NO):
        with pytest.raises(Conflict, match="expired at"):
            await database.write(approvals.decide, ANN, approval.id, decision)
    assert (await database.read(approvals.get, ANN, approval.id)).state == "pending"


async def test_what_fell_due_while_nobody_ran_expires_at_the_start(database: Database) -> None:
    approval = await kept(database, expires_at="2026-11-20T10:00:00.000Z")
    async with opened(database) as inbox:
        assert (await inbox.wait(ANN, approval.id)).state == "expired"


async def test_stop_wakes_who_waits(database: Database) -> None:
    async with opened(database) as inbox:
        session_id, turn_id = await database.write(running_turn, ANN)
        approval = await kept(database, session_id=session_id, turn_id=turn_id)
        task = await waiting(inbox, approval)
        inbox.note(await database.write(approvals.cancel_of_turn, ANN, turn_id, by="stop"))
        assert (await task).state == "cancelled"


async def test_a_decision_outlives_a_crash_before_its_effect(
    database: Database, tmp_path: Path
) -> None:
    approval = await kept(database, origin="api")
    async with opened(database) as inbox:
        decided = await inbox.decide(ANN, approval.id, YES)
    # The process is gone; the next one opens the file.
    reopened = Database(tmp_path / "chat_sessions.db")
    async with opened(reopened) as inbox:
        ran: list[str] = []
        inbox.on_approved(lambda _, one: ran.append(one.id))
        assert await reopened.read(approvals.approved_without_outcome) == [(ANN, decided)]
        assert await inbox.wait(ANN, approval.id) == decided
        assert await inbox.decide(ANN, approval.id, YES) == decided
        assert ran == []
    await reopened.close()
