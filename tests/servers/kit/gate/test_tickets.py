"""Approvals that a server asks for itself, from the first call to the repeated one."""

import sqlite3
from dataclasses import replace

import pytest

from servers.kit.gate import audit, journal, tickets
from servers.kit.gate.liveness import this_process
from servers.kit.gate.tickets import LIFE_S, Ticket, TicketClosed
from servers.kit.manifest import Effect
from tests.servers.kit.gate.calls import NOW_S, a_call, begin

ME = this_process()
CALL = a_call("call_1", decision="not_needed", decided_by=None)
ARGUMENTS = {"to": ["a@b.example"], "body": "é\ud800"}


def asked(conn: sqlite3.Connection, now_s: float = NOW_S, **call: str) -> Ticket:
    return tickets.open_ticket(
        conn,
        replace(CALL, **call),  # type: ignore[arg-type]
        ARGUMENTS,
        reason="level",
        why="It sends mail.",
        now_s=now_s,
    )


def decided(
    conn: sqlite3.Connection, ticket: Ticket, *, approve: bool, now_s: float = NOW_S
) -> Ticket:
    return tickets.decide(
        conn,
        ticket.ticket_id,
        approve=approve,
        by="terminal",
        reason=None if approve else "Not to them.",
        now_s=now_s,
    )


def trail(conn: sqlite3.Connection) -> list[tuple[str, str | None, str]]:
    return [
        (row["decision"], row["decided_by"], row["outcome"])
        for row in audit.rows_after(conn, 0, 10)
    ]


def test_a_ticket_keeps_the_whole_call(conn: sqlite3.Connection) -> None:
    ticket = asked(conn)

    assert ticket == Ticket(
        ticket_id=ticket.ticket_id,
        call=CALL,
        arguments=ARGUMENTS,
        reason="level",
        why="It sends mail.",
        state="pending",
        created_at=NOW_S,
        expires_at=NOW_S + LIFE_S,
        decided_by=None,
        decision_reason=None,
        approval_id=None,
        approval_url=None,
        preview=None,
    )
    assert isinstance(ticket.call.effect, Effect)
    assert tickets.get(conn, ticket.ticket_id) == ticket
    assert tickets.pending(conn, NOW_S) == [ticket]
    assert trail(conn) == []


def test_the_same_call_asked_for_again_has_one_ticket(conn: sqlite3.Connection) -> None:
    first = asked(conn)

    assert asked(conn, call_id="call_2", client="another 1") == first
    assert asked(conn, hash="cd" * 32) != first
    assert tickets.find(conn, CALL.hash, NOW_S) == first
    assert tickets.find(conn, "ef" * 32, NOW_S) is None


def test_an_approved_call_runs_under_the_id_of_its_ticket(conn: sqlite3.Connection) -> None:
    ticket = decided(conn, asked(conn), approve=True)

    assert (ticket.state, ticket.decided_by) == ("approved", "terminal")
    assert tickets.find(conn, CALL.hash, NOW_S) == ticket
    assert tickets.pending(conn, NOW_S) == []
    assert trail(conn) == []


def test_a_denied_call_is_audited_once(conn: sqlite3.Connection) -> None:
    ticket = asked(conn)
    denied = decided(conn, ticket, approve=False)

    assert (denied.state, denied.decision_reason) == ("denied", "Not to them.")
    assert decided(conn, ticket, approve=False) == denied
    assert trail(conn) == [("denied", "terminal", "not_run")]


@pytest.mark.parametrize("first", [True, False])
def test_the_first_decision_stands(conn: sqlite3.Connection, first: bool) -> None:
    ticket = decided(conn, asked(conn), approve=first)

    assert decided(conn, ticket, approve=first) == ticket
    with pytest.raises(TicketClosed, match=f"is {ticket.state} already \\(terminal\\)"):
        decided(conn, ticket, approve=not first)
    assert tickets.get(conn, ticket.ticket_id) == ticket


def test_after_its_end_was_told_the_same_call_is_a_new_one(conn: sqlite3.Connection) -> None:
    first = decided(conn, asked(conn), approve=False)
    assert asked(conn) == first

    tickets.use_up(conn, first.ticket_id)

    assert tickets.find(conn, CALL.hash, NOW_S) is None
    second = asked(conn, call_id="call_2")
    assert (second.state, second.call.call_id) == ("pending", "call_2")
    with pytest.raises(TicketClosed, match="used"):
        decided(conn, first, approve=True)


@pytest.mark.parametrize("is_approved", [False, True])
def test_what_nobody_decided_or_ran_in_time_expires(
    conn: sqlite3.Connection, is_approved: bool
) -> None:
    ticket = asked(conn)
    if is_approved:
        decided(conn, ticket, approve=True, now_s=NOW_S + LIFE_S - 1)
    assert tickets.expire(conn, NOW_S + LIFE_S - 1) == []

    found = tickets.find(conn, CALL.hash, NOW_S + LIFE_S)

    assert found is not None
    assert found.state == "expired"
    assert tickets.pending(conn, NOW_S + LIFE_S) == []
    assert tickets.expire(conn, NOW_S + LIFE_S) == []
    assert [(decision, outcome) for decision, _, outcome in trail(conn)] == [("expired", "not_run")]
    with pytest.raises(TicketClosed, match="expired"):
        decided(conn, ticket, approve=not is_approved, now_s=NOW_S + LIFE_S)


def test_what_was_approved_and_ran_does_not_expire(conn: sqlite3.Connection) -> None:
    ticket = decided(conn, asked(conn), approve=True)
    begin(conn, ticket.call, ME)

    assert tickets.expire(conn, NOW_S + LIFE_S) == []
    assert tickets.get(conn, ticket.ticket_id).state == "approved"


def test_a_ticket_knows_where_the_orchestrator_shows_it(conn: sqlite3.Connection) -> None:
    ticket = asked(conn)
    tickets.link(conn, ticket.ticket_id, "approval_1", "http://127.0.0.1:8000/approvals/approval_1")
    linked = tickets.get(conn, ticket.ticket_id)

    assert linked.approval_id == "approval_1"
    assert linked.approval_url == "http://127.0.0.1:8000/approvals/approval_1"


def test_an_id_that_does_not_exist_is_said_to(conn: sqlite3.Connection) -> None:
    with pytest.raises(LookupError, match="no approval 'ticket_x'"):
        tickets.get(conn, "ticket_x")


def test_old_tickets_are_forgotten_once_they_are_decided(conn: sqlite3.Connection) -> None:
    denied = decided(conn, asked(conn), approve=False)
    waits = asked(conn, hash="cd" * 32)

    tickets.purge(conn, NOW_S + journal.KEPT_S + 1)

    with pytest.raises(LookupError):
        tickets.get(conn, denied.ticket_id)
    assert tickets.get(conn, waits.ticket_id) == waits
