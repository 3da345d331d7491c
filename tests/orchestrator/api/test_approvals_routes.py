"""The inbox over real sockets: the owner decides, servers may only ask."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.api.approvals import MAX_DEPTH, MAX_PENDING_OF_SERVER
from orchestrator.approvals.canonical import MAX_ASKED_BYTES, call_hash
from orchestrator.domain.approvals import Approval
from orchestrator.store import approvals
from tests.orchestrator.api.doorway import Door
from tests.orchestrator.api.house import owner_of, token_of, whole_house
from tests.orchestrator.store.asked import asked, running_turn

SERVERS = [
    {"id": name, "url": "http://127.0.0.1:9/mcp", "enabled": False, "trust": trust}
    for name, trust in (
        ("mail", "fleet"),
        ("files", "fleet"),
        ("busy", "fleet"),
        ("stranger", "third_party"),
    )
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with whole_house(tmp_path_factory.mktemp("house"), SERVERS) as running:
        yield running


def kept(door: Door, **fields: Any) -> Approval:
    """Store an approval that a turn asks for."""
    owner_id, database = owner_of(door), door.api.state.database
    session_id, turn_id = door.run(database.write(running_turn, owner_id))
    approval = asked(session_id=session_id, turn_id=turn_id, **fields)
    door.run(database.write(approvals.insert, owner_id, approval))
    door.api.state.inbox.note([approval])
    return approval


def ticket(server: str = "mail", **fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "ticket_id": "call_1",
        "tool": "send",
        "title": "Send a message",
        "arguments": {"to": "ann@example.org"},
        "level": 2,
        "effect": "send",
        "reason": "This tool asks before it runs.",
        "account": "me@example.org",
        "undoable": False,
        "client": "claude-desktop 1.2",
        "expires_at": "2999-01-01T00:00:00Z",
    }
    body = {**plain, **fields}
    call = {"tool": body["tool"], "arguments": body["arguments"]}
    return {"hash": call_hash(owner="owner", server=server, **call), **body}


def ask(door: Door, body: Any, server: str = "mail") -> Any:
    return door.ask("POST", "/api/approvals", token_of(door, server), body)


def decide(door: Door, approval: str, verb: str, body: Any = None, **more: Any) -> Any:
    return door.ask("POST", f"/api/approvals/{approval}/{verb}", door.bearer, body, **more)


def test_the_owner_sees_what_waits_and_decides(door: Door) -> None:
    approval = kept(door)
    listed = door.ask("GET", "/api/approvals/?state=pending", door.bearer).json["items"]
    assert listed[0] == approval.model_dump()
    answer = decide(door, approval.id, "approve")
    assert (answer.status, answer.json["state"], answer.json["scope"]) == (200, "approved", "once")
    assert door.ask("GET", f"/api/approvals/{approval.id}", door.bearer).json == answer.json
    waiting = door.ask("GET", "/api/approvals?state=pending", door.bearer).json["items"]
    assert approval.id not in [each["id"] for each in waiting]


def test_a_denial_carries_its_reason(door: Door) -> None:
    approval = kept(door)
    answer = decide(door, approval.id, "deny", {"reason": "Not to her."})
    assert (answer.json["state"], answer.json["decision_reason"]) == ("denied", "Not to her.")


def test_a_decision_says_where_it_was_taken(door: Door) -> None:
    cookie = {"Cookie": door.sign_in().cookie}
    made = door.ask("POST", "/api/auth/tokens", door.bearer, {"name": "phone"})
    bearer = {"Authorization": f"Bearer {made.json['token']}"}
    for headers, by in ((cookie, "web"), (bearer, "api"), (door.bearer, "terminal")):
        approval = kept(door)
        path = f"/api/approvals/{approval.id}/deny"
        assert door.ask("POST", path, headers).json["decided_by"] == by


def test_deciding_twice_is_the_same_or_a_conflict_that_names_the_first(door: Door) -> None:
    approval = kept(door)
    first = decide(door, approval.id, "approve", {"arguments": {"to": "bo@example.org"}})
    again = decide(door, approval.id, "approve", {"arguments": {"to": "bo@example.org"}})
    assert (again.status, again.json) == (200, first.json)
    other = decide(door, approval.id, "deny")
    assert (other.status, other.json["code"]) == (409, "conflict")
    assert "approved (once) with changed arguments" in other.json["detail"]
    assert "by terminal" in other.json["detail"]


def test_of_two_tabs_that_decide_at_once_one_decides(door: Door) -> None:
    for _ in range(5):
        approval = kept(door)
        with ThreadPoolExecutor(4) as pool:
            tabs = [
                pool.submit(decide, door, approval.id, verb)
                for verb in ("approve", "deny", "approve", "deny")
            ]
            statuses = [tab.result().status for tab in tabs]
        assert sorted(statuses) == [200, 200, 409, 409]
        assert statuses[0] == statuses[2]


def test_what_expired_cannot_be_approved(door: Door) -> None:
    approval = kept(door, expires_at="2026-11-20T10:00:00.000Z")
    answer = decide(door, approval.id, "approve")
    assert answer.status == 409
    assert "expired at 2026-11-20T10:00:00.000Z; nothing ran" in answer.json["detail"]


def test_level_3_is_approved_once_only(door: Door) -> None:
    approval = kept(door, level=3)
    for scope in ("session", "always"):
        answer = decide(door, approval.id, "approve", {"scope": scope})
        assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert decide(door, approval.id, "approve", {"scope": "once"}).status == 200


def test_a_standing_approval_is_listed_and_revoked(door: Door) -> None:
    approval = kept(door, tool="mail__label")
    decide(door, approval.id, "approve", {"scope": "session"})
    listed = door.ask("GET", "/api/approvals/standing", door.bearer).json["items"]
    [standing] = [each for each in listed if each["session_id"] == approval.session_id]
    assert (standing["tool"], standing["created_by"]) == ("mail__label", "terminal")
    path = f"/api/approvals/standing/{standing['id']}"
    assert door.ask("DELETE", path, door.bearer).status == 204
    assert door.ask("DELETE", path, door.bearer).status == 404
    left = door.ask("GET", "/api/approvals/standing", door.bearer).json["items"]
    assert standing["id"] not in [each["id"] for each in left]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    "body",
    [
        b'{"arguments": {"n": NaN}}',
        b'{"arguments": {"n": 1e999}}',
        b'{"arguments": {"n": "\\ud800"}}',
        b'{"arguments": {"\\udfff": 1}}',
        b'{"arguments": []}',
        b'{"scope": "forever"}',
        b'{"by": "web"}',
        b"[]",
        b"{",
        b'{"arguments": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
    ],
)
def test_an_odd_decision_is_refused_and_decides_nothing(door: Door, body: bytes) -> None:
    approval = kept(door)
    headers = {**door.bearer, "Content-Type": "application/json"}
    path = f"/api/approvals/{approval.id}/approve"
    assert door.ask("POST", path, headers, body=body).status in (400, 422)
    shown = door.ask("GET", f"/api/approvals/{approval.id}", door.bearer)
    assert shown.json["state"] == "pending"


def test_arguments_may_be_nested_but_not_without_end(door: Door) -> None:
    approval = kept(door)
    deep = decide(door, approval.id, "approve", {"arguments": nested(MAX_DEPTH)})
    assert deep.status == 422
    fine = decide(door, approval.id, "approve", {"arguments": nested(MAX_DEPTH - 2)})
    assert fine.json["arguments_to_run"] == nested(MAX_DEPTH - 2)


def test_what_is_to_run_instead_is_no_longer_than_a_person_reads(door: Door) -> None:
    approval = kept(door)
    body = {"arguments": {"text": "x" * MAX_ASKED_BYTES}}
    assert decide(door, approval.id, "approve", body).status == 422
    assert door.ask("GET", f"/api/approvals/{approval.id}", door.bearer).json["state"] == "pending"


def test_what_is_not_there_is_404(door: Door) -> None:
    for method, path in (
        ("GET", "/api/approvals/appr_none"),
        ("POST", "/api/approvals/appr_none/approve"),
        ("POST", "/api/approvals/appr_none/deny"),
        ("GET", "/api/approvals?cursor=x"),
    ):
        assert door.ask(method, path, door.bearer).status == 404


def test_a_server_asks_and_the_owner_is_asked_once(door: Door) -> None:
    first = ask(door, ticket())
    assert first.status == 201
    assert first.json["url"] == f"https://flotilla.example.org/approvals/{first.json['id']}"
    assert (first.json["origin"], first.json["server"], first.json["tool"]) == (
        "client",
        "mail",
        "mail__send",
    )
    assert first.json["tool_call_id"] == "call_1"
    again = ask(door, ticket(reason="It asks again."))
    assert (again.status, again.json) == (200, first.json)
    changed = ask(door, ticket(arguments={"to": "eve@example.org"}))
    assert changed.status == 409
    other_server = ask(door, ticket("files"), "files")
    assert (other_server.status, other_server.json["tool"]) == (201, "files__send")


def test_a_ticket_expires_when_its_server_says_but_no_later_than_ours_do(door: Door) -> None:
    far = ask(door, ticket(ticket_id="call_far", expires_at="9999-12-31T23:59:59-23:59"))
    assert far.json["expires_at"] < "2999"
    past = ask(door, ticket(ticket_id="call_past", expires_at="0001-01-01T00:00:00+23:59"))
    assert past.json["expires_at"] == past.json["created_at"]
    answer = decide(door, past.json["id"], "approve")
    assert answer.status == 409


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "0" * 64},
        {"server": "files"},
        {"owner": "eve"},
        {"arguments": [1]},
        {"arguments": {"text": "x" * MAX_ASKED_BYTES}},
        {"level": 4},
        {"ticket_id": "../x"},
        {"expires_at": "soon"},
        {"effect": "explode"},
    ],
)
def test_a_ticket_that_does_not_fit_is_refused(door: Door, change: dict[str, Any]) -> None:
    body = {**ticket(ticket_id="call_wrong"), **change}
    assert ask(door, body).status in (400, 422)


def test_the_hash_is_computed_with_the_name_of_the_server_that_asks(door: Door) -> None:
    answer = ask(door, ticket("files", ticket_id="call_x"), "mail")
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert "'mail'" in answer.json["detail"]


def test_what_a_server_may_leave_waiting_is_bounded(door: Door) -> None:
    answers = [
        ask(door, ticket("busy", ticket_id=f"call_{number}"), "busy")
        for number in range(MAX_PENDING_OF_SERVER + 1)
    ]
    assert {answer.status for answer in answers[:-1]} == {201}
    assert (answers[-1].status, answers[-1].json["retryable"]) == (429, True)
    decide(door, answers[0].json["id"], "deny")
    assert ask(door, ticket("busy", ticket_id="call_more"), "busy").status == 201


def test_a_server_reads_its_own_tickets_and_decides_nothing(door: Door) -> None:
    mine = ask(door, ticket(ticket_id="call_mine")).json["id"]
    turn = kept(door).id
    mail, files = token_of(door, "mail"), token_of(door, "files")
    assert door.ask("GET", f"/api/approvals/{mine}", mail).json["state"] == "pending"
    assert door.ask("GET", f"/api/approvals/{mine}", files).status == 404
    assert door.ask("GET", f"/api/approvals/{turn}", mail).status == 404
    for method, path in (
        ("POST", f"/api/approvals/{mine}/approve"),
        ("POST", f"/api/approvals/{mine}/deny"),
        ("GET", "/api/approvals"),
        ("GET", "/api/approvals/standing"),
        ("DELETE", "/api/approvals/standing/stand_1"),
        ("GET", "/api/audit"),
        ("GET", "/api/sessions"),
        ("POST", "/api/chat/stream"),
        ("POST", "/api/auth/tokens"),
        ("GET", "/metrics"),
    ):
        assert door.ask(method, path, mail).status == 403
    assert door.ask("GET", f"/api/approvals/{mine}", mail).json["state"] == "pending"


def test_only_servers_of_the_fleet_ask(door: Door) -> None:
    assert not (door.data_dir / "tokens" / "stranger.api").exists()
    answer = door.ask("POST", "/api/approvals", door.bearer, ticket())
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    for name, scope in (("mail.api", "owner"), ("new.api", "read_history")):
        body = {"name": name, "scope": scope}
        assert door.ask("POST", "/api/auth/tokens", door.bearer, body).status == 409
    body = {"name": "x", "scope": "server"}
    assert door.ask("POST", "/api/auth/tokens", door.bearer, body).status == 422


def test_deleting_a_session_cancels_what_waits_in_it(door: Door) -> None:
    approval = kept(door)
    waiter = door.run(start_waiting(door, owner_of(door), approval))
    answer = door.ask("DELETE", f"/api/sessions/{approval.session_id}", door.bearer)
    assert answer.status == 204
    assert door.run(ended(waiter)).state == "cancelled"
    assert door.ask("GET", f"/api/approvals/{approval.id}", door.bearer).status == 404
    assert decide(door, approval.id, "approve").status == 404
    newest = door.ask("GET", "/api/audit?server=orchestrator&limit=2", door.bearer).json["items"]
    assert [row["action"] for row in newest] == ["session_deleted", "approval_cancelled"]
    assert newest[1]["subject"] == approval.id


async def start_waiting(door: Door, owner_id: str, approval: Approval) -> asyncio.Task[Approval]:
    task = asyncio.create_task(door.api.state.inbox.wait(owner_id, approval.id))
    await asyncio.sleep(0)
    return task


async def ended(task: asyncio.Task[Approval]) -> Approval:
    return await task
