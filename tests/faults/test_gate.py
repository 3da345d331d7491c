"""What the gate keeps when programs are killed, frozen or starved around it.

The README's command kills 300 times; the tests here 8 and 40 times.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from orchestrator.domain.approvals import Decision
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.store import approvals
from orchestrator.store.principals import ensure_owner
from tests.faults.gate_loop import gate_loop
from tests.gated_house import GatedHouse, gated_house, ledger_of, raw_call

pytestmark = pytest.mark.fault

SEED = 20261120
HALF_A_DAY = timedelta(hours=12)
PATH = "/api/mcp/tools/effects__send_message/call"
MESSAGE = {"to": "ada@example.org", "subject": "Lunch", "body": "At noon?"}

KEPT = (
    ("approvals", "arguments"),
    ("approvals", "arguments_to_run"),
    ("tool_calls", "arguments"),
    ("messages", "tool_calls"),
)
"""Where the orchestrator keeps arguments."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[GatedHouse]:
    with gated_house(tmp_path) as house:
        yield house


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [8, pytest.param(40, marks=pytest.mark.long)])
async def test_kills_double_nothing_and_hide_nothing(tmp_path: Path, kills: int) -> None:
    report = await gate_loop(tmp_path, kills=kills, seed=SEED)
    assert report.is_clean, report.table()
    assert report.kills.total() == kills
    assert report.effects >= kills // 2


def test_what_was_asked_before_both_were_killed_runs_once_half_a_day_later(
    house: GatedHouse,
) -> None:
    arguments = {name: {**MESSAGE, "body": name} for name in ("turn", "client", "api")}
    turn = house.say([("send_message", arguments["turn"])])
    turn.wait_for("approval_requested")
    raw_call(house.effects, "send_message", arguments["client"])
    assert house.ask("POST", PATH, {"arguments": arguments["api"]}).status_code == 202
    house.installation.kill()
    house.effects.kill()
    turn.finish()
    move_back(house, HALF_A_DAY)
    house.effects.start()
    house.installation.start()
    house.wait_until_connected()
    assert not house.effects.effects()
    waiting = house.pending()
    assert sorted(approval["origin"] for approval in waiting) == ["api", "client", "turn"]
    for approval in waiting:
        assert datetime.fromisoformat(approval["created_at"]) < utc_now() - HALF_A_DAY
        assert house.approve(approval["id"]).status_code == 200
        assert house.approve(approval["id"]).status_code == 200
    house.wait_until(lambda: len(house.effects.effects()) == 3)
    house.wait_until(lambda: state_of_turn(house, turn.turn_id) == "finished")
    assert not raw_call(house.effects, "send_message", arguments["client"]).get("isError")
    ran = {effect.arguments["body"]: effect.arguments for effect in house.effects.effects()}
    assert ran == arguments
    assert len(house.effects.effects()) == 3


@pytest.mark.parametrize("edited", [None, {**MESSAGE, "body": "At noon!?"}])
def test_one_byte_that_changed_after_the_approval_keeps_all_from_running(
    house: GatedHouse, edited: dict[str, str] | None
) -> None:
    turn = house.say([("send_message", MESSAGE)])
    turn.wait_for("approval_requested")
    raw_call(house.effects, "send_message", MESSAGE)
    house.ask("POST", PATH, {"arguments": MESSAGE})
    house.installation.kill()
    turn.finish()
    with stored(house) as conn:
        owner = ensure_owner(conn)
        decision = Decision(approve=True, by="web", arguments=edited)
        pending, _ = approvals.page(conn, owner.id, limit=10, state="pending")
        for approval in pending:
            approvals.decide(conn, owner.id, approval.id, decision)
        for table, column in KEPT:
            change = f"UPDATE {table} SET {column} = replace({column}, 'noon', 'moon')"
            conn.exec_driver_sql(change)
    house.installation.start()
    house.wait_until(lambda: state_of_turn(house, turn.turn_id) == "finished")
    for approval in pending:
        if approval.origin != "turn":
            house.wait_until(lambda approval=approval: house.outcome(approval.id) == "failed")
    (call,) = calls_of(house, turn.session_id)
    assert (call["state"], "approved" in call["error"]) == ("failed", True)
    assert len(pending) == 3
    assert not house.effects.effects()


def test_a_frozen_server_runs_what_was_approved_once_when_it_thaws(house: GatedHouse) -> None:
    turn = house.say([("send_message", MESSAGE)])
    asked = turn.wait_for("approval_requested")
    house.effects.freeze()
    try:
        assert house.approve(asked["approval_id"]).status_code == 200
        ended = turn.wait_for("tool_call_finished")
        assert ended["status"] == "unknown"
    finally:
        house.effects.thaw()
    turn.finish()
    house.wait_until(lambda: bool(house.effects.effects()))
    house.wait_until_connected()
    assert calls_of(house, turn.session_id)[0]["state"] == "unknown"
    assert len(house.effects.effects()) == 1


@contextmanager
def stored(house: GatedHouse) -> Iterator[Connection]:
    """Open the database of the stopped orchestrator in one transaction."""
    engine = create_engine(f"sqlite:///{house.installation.data_dir / 'chat_sessions.db'}")
    with engine.begin() as conn:
        yield conn
    engine.dispose()


def calls_of(house: GatedHouse, session_id: str) -> list[dict[str, Any]]:
    messages = house.ask("GET", f"/api/sessions/{session_id}/messages").json()["items"]
    return [message["tool_call"] for message in messages if message["tool_call"]]


def state_of_turn(house: GatedHouse, turn_id: str) -> str:
    return house.ask("GET", f"/api/chat/turns/{turn_id}").json()["state"]


def move_back(house: GatedHouse, span: timedelta) -> None:
    """Let all that waits be older by `span`, in the databases of both stopped programs."""
    columns = {
        "approvals": ("created_at", "expires_at"),
        "turns": ("created_at", "waiting_since"),
    }
    with stored(house) as conn:
        for table, names in columns.items():
            rows = conn.exec_driver_sql(f"SELECT id, {', '.join(names)} FROM {table}").all()
            for row_id, *moments in rows:
                changes = ", ".join(f"{name} = ?" for name in names)
                moved = tuple(moved_back(moment, span) for moment in moments)
                conn.exec_driver_sql(f"UPDATE {table} SET {changes} WHERE id = ?", (*moved, row_id))
    with closing(sqlite3.connect(ledger_of(house.effects))) as conn, conn:
        span_s = span.total_seconds()
        conn.execute(
            "UPDATE tickets SET created_at = created_at - ?, expires_at = expires_at - ?",
            (span_s, span_s),
        )


def moved_back(moment: str | None, span: timedelta) -> str | None:
    if moment is None:
        return None
    return to_rfc3339(datetime.fromisoformat(moment) - span)
