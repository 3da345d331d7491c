"""A gated call that finds its sign-in ended was not made: it can be made again, once."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from servers.kit.errors import SignInRequired
from servers.kit.gate.current import note_acted
from servers.kit.gate.ledger import LedgerUnavailable
from tests.fakes import sign_in_server
from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import ANNA
from tests.servers.kit.accounts.errands import SENT, Errands, Person, made


@pytest.fixture
def errands(tmp_path: Path, google: FakeGoogle) -> Errands:
    return Errands(tmp_path)


async def test_a_withdrawn_call_keeps_its_id_and_its_grant(
    errands: Errands, google: FakeGoogle
) -> None:
    await errands.sign_in("write")
    google.oauth.revoke(ANNA)
    meta = errands.granted("send_errand", SENT)
    async with errands.client() as client:
        refused = await client.call_tool("send_errand", SENT, raise_on_error=False, meta=meta)
        record, rows = await errands.record("call_1"), await errands.audit()
        await errands.sign_in("write")
        done = await client.call_tool("send_errand", SENT, meta=meta)
        again = await client.call_tool("send_errand", SENT, meta=meta)

    assert refused.structured_content is not None
    assert refused.structured_content["error"]["code"] == "sign_in_required"
    assert refused.structured_content["error"]["reason"] == "ended"
    assert (refused.meta or {})["flotilla/call_id"] == "call_1"
    assert (record["state"], rows) == ("absent", [])
    assert again.structured_content == done.structured_content
    assert (again.meta or {})["flotilla/replayed"] is True
    assert [effect.arguments for effect in errands.effects()] == [SENT]
    [row] = await errands.audit()
    assert (row["call_id"], row["decision"], row["outcome"]) == ("call_1", "approved", "done")
    assert await errands.broken_row() is None


async def test_a_sign_in_that_parallel_requests_miss_is_asked_for(
    errands: Errands, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner_of = sign_in_server.owner_of

    async def twice(*of: Any) -> str:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(owner_of(*of)) for _ in range(2)]
        return tasks[0].result()

    monkeypatch.setattr(sign_in_server, "owner_of", twice)
    await errands.sign_in("write")
    google.oauth.revoke(ANNA)
    meta = errands.granted("send_errand", SENT)
    async with errands.client() as client:
        read = await made(client, "read_errand", {"errand": "milk"})
        refused = await client.call_tool("send_errand", SENT, raise_on_error=False, meta=meta)
        record = await errands.record("call_1")
        await errands.sign_in("write")
        done = await client.call_tool("send_errand", SENT, meta=meta)

    assert refused.structured_content is not None
    assert done.structured_content is not None
    assert read["error"]["code"] == "sign_in_required"
    assert refused.structured_content["error"]["code"] == "sign_in_required"
    assert record["state"] == "absent"
    assert done.structured_content["errand"] == SENT["errand"]
    assert len(errands.effects()) == 1


async def test_a_call_that_misses_its_sign_in_after_an_effect_is_not_made_again(
    errands: Errands, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_effect = sign_in_server.note_effect

    def interrupted(*of: Any, **arguments: Any) -> None:
        note_effect(*of, **arguments)
        note_acted()
        raise SignInRequired("It ended.", reason="ended", capability="write", account=ANNA)

    monkeypatch.setattr(sign_in_server, "note_effect", interrupted)
    await errands.sign_in("write")
    meta = errands.granted("send_errand", SENT)
    async with errands.client() as client:
        first = await client.call_tool("send_errand", SENT, raise_on_error=False, meta=meta)
        again = await client.call_tool("send_errand", SENT, raise_on_error=False, meta=meta)

    for answer in (first, again):
        assert answer.structured_content is not None
        assert answer.structured_content["error"]["code"] == "outcome_unknown"
    assert len(errands.effects()) == 1
    [row] = await errands.audit()
    assert (row["call_id"], row["outcome"]) == ("call_1", "unknown")


async def test_everybody_who_waits_for_a_withdrawn_call_is_told(
    errands: Errands, google: FakeGoogle
) -> None:
    await errands.sign_in("write")
    google.oauth.revoke(ANNA)
    meta = errands.granted("send_errand", SENT)

    async def all_at_once(client: Any) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(
                    client.call_tool("send_errand", SENT, raise_on_error=False, meta=meta)
                )
                for _ in range(5)
            ]
        return [call.result().structured_content for call in calls]

    async with errands.client() as client:
        refused = await all_at_once(client)
        await errands.sign_in("write")
        done = await all_at_once(client)

    assert {answer["error"]["code"] for answer in refused} == {"sign_in_required"}
    assert {answer["errand"] for answer in done} == {"Buy milk"}
    assert len(errands.effects()) == 1
    assert len(await errands.audit()) == 1


async def test_a_withdrawn_call_counts_for_no_limit(errands: Errands, google: FakeGoogle) -> None:
    errands.use_settings(turn_max_deletes=1)
    await errands.sign_in("write")
    google.oauth.revoke(ANNA)

    async def deleted(client: Any, number: int) -> Any:
        arguments = {"errand": f"errand {number}"}
        meta = errands.granted(
            "delete_errand", arguments, call_id=f"call_{number}", grant_id=f"grant_{number}",
            scope="standing", by="standing approval", turn_id="turn_1",
        )  # fmt: skip
        result = await client.call_tool("delete_errand", arguments, raise_on_error=False, meta=meta)
        return result.structured_content

    async with errands.client() as client:
        assert (await deleted(client, 1))["error"]["code"] == "sign_in_required"
        await errands.sign_in("write")
        assert (await deleted(client, 2))["errand"] == "errand 2"
        over = (await deleted(client, 1))["error"]

    assert (over["code"], over["reason"]) == ("approval_required", "limit")
    assert len(errands.effects()) == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_two_who_asked_for_the_same_call_make_it_once(
    errands: Errands, google: FakeGoogle, mode: Any
) -> None:
    await errands.sign_in("write")
    google.oauth.revoke(ANNA)
    person = Person()
    async with errands.client(person, mode) as client, asyncio.TaskGroup() as group:
        calls = [
            group.create_task(made(client, "add_errand", {"errand": "milk"}, call_id="c1"))
            for _ in range(2)
        ]

    assert [call.result()["errand"] for call in calls] == ["milk", "milk"]
    assert set(person.asked) == {"url"}
    assert len(errands.effects()) == 1


async def test_a_stored_result_is_told_whatever_became_of_the_account(errands: Errands) -> None:
    await errands.sign_in("write")
    meta = errands.granted("send_errand", SENT)
    async with errands.client() as client:
        done = await client.call_tool("send_errand", SENT, meta=meta)
        await errands.forget()
        again = await client.call_tool("send_errand", SENT, meta=meta)
        bare = await made(client, "send_errand", SENT, call_id="call_1")
        other = await made(client, "send_errand", SENT, call_id="call_2", approvals="caller")

    assert again.structured_content == done.structured_content == bare
    assert other["error"]["code"] == "sign_in_required"


async def test_an_approval_that_ran_elsewhere_is_told_after_the_sign_in_ended(
    errands: Errands,
) -> None:
    await errands.sign_in("write")
    async with errands.client() as client:
        waiting = await made(client, "send_errand", SENT, call_id="call_t")
        meta = errands.granted("send_errand", SENT, call_id="call_t")
        await client.call_tool("send_errand", SENT, meta=meta)
        await errands.forget()
        told = await made(client, "send_errand", SENT)
        anew = await made(client, "send_errand", SENT)

    assert waiting["error"]["code"] == "approval_required"
    assert told["errand"] == "Buy milk"
    assert anew["error"]["code"] == "sign_in_required"
    assert len(errands.effects()) == 1


async def test_an_approval_at_the_terminal_outlives_a_sign_in_that_ended(
    errands: Errands, google: FakeGoogle
) -> None:
    await errands.sign_in("write")
    async with errands.client() as client:
        ticket = (await made(client, "send_errand", SENT))["error"]["ticket_id"]
        await errands.decide(ticket, approve=True, now_s=time.time())
        google.oauth.revoke(ANNA)
        refused = await made(client, "send_errand", SENT)
        await errands.sign_in("write")
        done = await made(client, "send_errand", SENT)
        anew = await made(client, "send_errand", SENT)

    assert refused["error"]["code"] == "sign_in_required"
    assert done["errand"] == "Buy milk"
    assert anew["error"]["code"] == "approval_required"
    assert len(errands.effects()) == 1


async def test_a_call_that_cannot_be_withdrawn_does_not_say_that_it_can_be_repeated(
    errands: Errands, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await errands.sign_in("write")
    google.oauth.revoke(ANNA)

    def refuse(_conn: sqlite3.Connection, _call_id: str) -> None:
        raise LedgerUnavailable("The disk is full.")

    monkeypatch.setattr("servers.kit.gate.journal.withdraw", refuse)
    async with errands.client() as client:
        first = await made(client, "add_errand", {"errand": "milk"}, call_id="c1")
        again = await made(client, "add_errand", {"errand": "milk"}, call_id="c1")

    assert first["error"]["code"] == "gate_unavailable"
    assert "was not made" in first["error"]["message"]
    assert again["error"]["code"] == "outcome_unknown"
    assert errands.effects() == []


async def test_a_tool_without_an_account_asks_as_ever(errands: Errands) -> None:
    person = Person()
    async with errands.client(person) as client:
        done = await made(client, "tell_time", {"to": "bo"})

    assert (done["errand"], person.asked) == ("bo", ["form"])
