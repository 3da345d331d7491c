"""Each call runs at most once, and what became of it is known or said to be unknown."""

import asyncio
import json
import os
import signal
import sqlite3
from dataclasses import replace

import pytest

from servers.kit.gate import audit, journal
from servers.kit.gate.journal import (
    ArgumentsDiffer,
    Begun,
    GrantUsed,
    OverLimit,
    Replay,
    Running,
    Unknown,
)
from servers.kit.gate.ledger import Ledger
from servers.kit.gate.limits import Limits
from servers.kit.gate.liveness import ProcessId, this_process
from servers.kit.manifest import Effect
from tests.servers.kit.gate.calls import CALL, NOW_S, a_call, begin
from tests.servers.kit.gate.conftest import StartRacer, said, told

ME = this_process()
GONE = replace(ME, began="another boot/1")


def test_a_call_runs_once_and_is_answered_again_after_that(conn: sqlite3.Connection) -> None:
    assert journal.find(conn, "call_1", CALL.hash, ME) is None
    assert begin(conn, CALL, ME) == Begun()
    assert begin(conn, CALL, ME) == Running(elsewhere=False)

    journal.finish(conn, "call_1", "done", '{"sent": 1}', NOW_S)

    assert begin(conn, CALL, ME) == Replay("done", '{"sent": 1}')
    assert journal.find(conn, "call_1", CALL.hash, ME) == Replay("done", '{"sent": 1}')


def test_a_call_that_failed_is_not_tried_again(conn: sqlite3.Connection) -> None:
    begin(conn, CALL, ME)
    journal.finish(conn, "call_1", "failed", "{}", NOW_S)

    assert begin(conn, CALL, ME) == Replay("failed", "{}")


def test_the_same_id_with_other_arguments_is_another_call(conn: sqlite3.Connection) -> None:
    begin(conn, CALL, ME)

    assert begin(conn, replace(CALL, hash="cd" * 32), ME) == ArgumentsDiffer()


def test_a_grant_serves_one_call(conn: sqlite3.Connection) -> None:
    assert begin(conn, a_call("call_1", grant_id="g"), ME) == Begun()
    assert begin(conn, a_call("call_2", grant_id="g"), ME) == GrantUsed()
    assert begin(conn, a_call("call_3", grant_id="h"), ME) == Begun()
    assert journal.record(conn, "call_2")["state"] == "absent"


def test_a_call_over_a_limit_is_not_begun_unless_it_may_pass(conn: sqlite3.Connection) -> None:
    none = Limits(turn={Effect.SEND: 0}, day={})

    assert isinstance(begin(conn, CALL, ME, none), OverLimit)
    assert journal.record(conn, "call_1")["state"] == "absent"
    assert begin(conn, CALL, ME, none, may_pass_limits=True) == Begun()


def test_the_end_of_a_call_has_one_audit_row(conn: sqlite3.Connection) -> None:
    begin(conn, CALL, ME)
    journal.finish(conn, "call_1", "done", "{}", NOW_S)
    (row,) = audit.rows_after(conn, 0, 10)

    assert row == {
        "position": 1,
        "at": "2027-01-15T08:00:00.000Z",
        "owner": "owner",
        "server": "mail",
        "tool": "send",
        "client": "claude-desktop 1.2",
        "call_id": "call_1",
        "turn_id": "turn_1",
        "arguments_hash": CALL.hash,
        "labels": ["egress", "write"],
        "level": 2,
        "effect": "send",
        "effects": 1,
        "taint": ["mail from x@y.example"],
        "decision": "approved",
        "decided_by": "web",
        "outcome": "done",
        "previous_hash": "0" * 64,
        "hash": row["hash"],
    }


def test_a_refused_call_has_an_audit_row_and_no_other_trace(conn: sqlite3.Connection) -> None:
    journal.note_refusal(conn, replace(CALL, decided_by="elicitation"), "denied", NOW_S)
    (row,) = audit.rows_after(conn, 0, 10)

    assert (row["decision"], row["decided_by"], row["outcome"]) == (
        "denied",
        "elicitation",
        "not_run",
    )
    assert journal.find(conn, "call_1", CALL.hash, ME) is None


def test_only_a_begun_call_can_end_and_only_once(conn: sqlite3.Connection) -> None:
    with pytest.raises(LookupError, match="'call_1'"):
        journal.finish(conn, "call_1", "done", "{}", NOW_S)
    begin(conn, CALL, ME)
    journal.finish(conn, "call_1", "done", "{}", NOW_S)
    with pytest.raises(LookupError):
        journal.finish(conn, "call_1", "failed", "{}", NOW_S)

    assert audit.head(conn).position == 1


def test_a_withdrawn_call_leaves_its_id_its_grant_and_its_limit_free(
    conn: sqlite3.Connection,
) -> None:
    one = Limits(turn={Effect.SEND: 1}, day={Effect.SEND: 1})
    call = replace(CALL, grant_id="g")
    assert begin(conn, call, ME, one) == Begun()

    journal.withdraw(conn, "call_1")

    assert journal.record(conn, "call_1")["state"] == "absent"
    assert audit.rows_after(conn, 0, 10) == []
    assert begin(conn, call, ME, one) == Begun()
    journal.finish(conn, "call_1", "done", "{}", NOW_S)
    assert [row["outcome"] for row in audit.rows_after(conn, 0, 10)] == ["done"]
    assert audit.first_broken(conn) is None


def test_only_a_call_without_an_end_can_be_withdrawn(conn: sqlite3.Connection) -> None:
    with pytest.raises(LookupError, match="no call 'call_1' waits"):
        journal.withdraw(conn, "call_1")
    begin(conn, CALL, ME)
    journal.finish(conn, "call_1", "done", "{}", NOW_S)
    with pytest.raises(LookupError):
        journal.withdraw(conn, "call_1")
    assert begin(conn, CALL, ME) == Replay("done", "{}")


def test_a_call_given_up_too_early_can_still_be_withdrawn(conn: sqlite3.Connection) -> None:
    begin(conn, CALL, GONE)
    journal.recover(conn, NOW_S)

    journal.withdraw(conn, "call_1")

    assert begin(conn, CALL, ME) == Begun()


def test_a_call_that_broke_without_saying_how_far_it_got_is_unknown(
    conn: sqlite3.Connection,
) -> None:
    begin(conn, CALL, ME)
    journal.finish(conn, "call_1", "unknown", "{}", NOW_S)

    assert begin(conn, CALL, ME) == Unknown()
    assert [row["outcome"] for row in audit.rows_after(conn, 0, 10)] == ["unknown"]


def test_what_a_dead_process_began_is_unknown(conn: sqlite3.Connection) -> None:
    begin(conn, CALL, GONE)
    begin(conn, a_call("call_2"), ME)

    assert begin(conn, CALL, ME) == Unknown()
    assert journal.record(conn, "call_1")["state"] == "unknown"
    assert journal.recover(conn, NOW_S) == ["call_1"]
    assert journal.recover(conn, NOW_S) == []
    assert begin(conn, CALL, ME) == Unknown()
    assert [row["outcome"] for row in audit.rows_after(conn, 0, 10)] == ["unknown"]
    assert journal.find(conn, "call_2", CALL.hash, ME) == Running(elsewhere=False)


def test_a_late_end_replaces_unknown_and_is_audited_too(conn: sqlite3.Connection) -> None:
    begin(conn, CALL, GONE)
    journal.recover(conn, NOW_S)
    journal.finish(conn, "call_1", "done", "{}", NOW_S)

    assert begin(conn, CALL, ME) == Replay("done", "{}")
    assert [row["outcome"] for row in audit.rows_after(conn, 0, 10)] == ["unknown", "done"]


def test_a_process_that_leaves_gives_up_its_own_calls_only(conn: sqlite3.Connection) -> None:
    other = replace(ME, opening="another opening")
    begin(conn, CALL, ME)
    begin(conn, a_call("call_2"), other)

    assert journal.give_up(conn, ME, NOW_S) == ["call_1"]
    assert journal.find(conn, "call_2", CALL.hash, ME) == Running(elsewhere=True)


def test_a_record_tells_what_became_of_a_call(conn: sqlite3.Connection) -> None:
    absent = journal.record(conn, "call_1")
    begin(conn, CALL, ME)
    started = journal.record(conn, "call_1")
    journal.finish(conn, "call_1", "done", '{"content": []}', NOW_S)

    assert absent == {"call_id": "call_1", "state": "absent", "result": None}
    assert started == {"call_id": "call_1", "state": "started", "result": None}
    assert journal.record(conn, "call_1") == {
        "call_id": "call_1",
        "state": "done",
        "result": {"content": []},
    }


def test_results_are_kept_for_a_week_and_the_audit_trail_for_ever(conn: sqlite3.Connection) -> None:
    begin(conn, CALL, ME)
    journal.finish(conn, "call_1", "done", "{}", NOW_S)
    begin(conn, a_call("call_2"), ME)

    journal.purge(conn, NOW_S + journal.KEPT_S)
    assert journal.record(conn, "call_1")["state"] == "done"
    journal.purge(conn, NOW_S + journal.KEPT_S + 1)

    assert journal.record(conn, "call_1")["state"] == "absent"
    assert journal.record(conn, "call_2")["state"] == "started"
    assert audit.first_broken(conn) is None
    assert audit.head(conn).position == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    ("left", "right", "loser"),
    [
        ({"call_id": "call_1"}, {"call_id": "call_1"}, "Running(elsewhere=True)"),
        (
            {"call_id": "call_1", "grant_id": "g"},
            {"call_id": "call_2", "grant_id": "g"},
            "GrantUsed()",
        ),
    ],
    ids=["call", "grant"],
)
async def test_of_two_processes_exactly_one_begins(
    start_racer: StartRacer, left: dict[str, str], right: dict[str, str], loser: str
) -> None:
    racers = [start_racer(**left), start_racer(**right)]
    for racer in racers:
        told(racer)

    assert sorted(said(racer) for racer in racers) == sorted(["Begun()", loser])


@pytest.mark.fault
async def test_a_process_killed_before_the_end_leaves_an_unknown_call(
    start_racer: StartRacer, ledger: Ledger
) -> None:
    killed, alive = start_racer(call_id="call_1"), start_racer(call_id="call_2")
    for racer in (killed, alive):
        told(racer)
        assert said(racer) == "Begun()"
    assert await ledger.write(journal.recover, NOW_S) == []

    os.kill(killed.pid, signal.SIGKILL)
    # It is left unreaped: a zombie counts as dead.
    await asyncio.to_thread(os.waitid, os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)

    assert await ledger.write(begin, CALL, ledger.process) == Unknown()
    assert await ledger.write(journal.recover, NOW_S) == ["call_1"]
    assert (await ledger.read(journal.record, "call_1"))["state"] == "unknown"
    assert (await ledger.read(journal.record, "call_2"))["state"] == "started"
    told(alive)
    assert said(alive) == "finished"
    assert (await ledger.read(journal.record, "call_2"))["result"] == {"by": "racer"}
    assert await ledger.read(audit.first_broken) is None


@pytest.mark.fault
async def test_a_result_survives_the_death_of_its_process(
    start_racer: StartRacer, ledger: Ledger
) -> None:
    racer = start_racer(call_id="call_1")
    for line in ("Begun()", "finished"):
        told(racer)
        assert said(racer) == line
    racer.kill()
    racer.wait()

    found = await ledger.write(begin, CALL, ledger.process)

    assert found == Replay("done", json.dumps({"by": "racer"}))


@pytest.mark.fault
async def test_a_number_given_to_a_new_process_is_not_the_old_process(
    start_racer: StartRacer, ledger: Ledger
) -> None:
    racer = start_racer(call_id="call_2")
    reused = ProcessId(racer.pid, "another boot/1", "opening")
    await ledger.write(begin, CALL, reused)

    assert await ledger.write(journal.recover, NOW_S) == ["call_1"]
