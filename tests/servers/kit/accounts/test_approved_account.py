"""What was approved for one account does not run for another that became the default since."""

import asyncio
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp.types import ElicitResult

from tests.fakes import sign_in_server
from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import ANNA, running_sign_in
from tests.servers.kit.accounts.conftest import BO
from tests.servers.kit.accounts.errands import SENT, Errands, made


@pytest.fixture
async def errands(tmp_path: Path, google: FakeGoogle) -> Errands:
    """Two accounts, of which Anna's is the default."""
    errands = Errands(tmp_path)
    for account in (ANNA, BO):
        google.person(account)
        google.oauth.chosen = account
        await errands.sign_in("write", account=account)
    return errands


async def test_a_grant_is_good_for_its_account_only_and_is_not_used_up(errands: Errands) -> None:
    meta = errands.granted("send_errand", SENT)
    async with errands.client() as client:

        async def sent() -> Any:
            result = await client.call_tool("send_errand", SENT, raise_on_error=False, meta=meta)
            return result.structured_content

        await errands.make_default(BO)
        refused = [await sent(), await sent()]
        record, rows = await errands.record("call_1"), await errands.audit()
        await errands.make_default(ANNA)
        done = await sent()
        await errands.make_default(BO)
        again = await sent()

    for answer in refused:
        assert (answer["error"]["code"], answer["error"]["reason"]) == (
            "approval_required",
            "level",
        )
        assert answer["error"]["why"] == (
            f"It was approved for {ANNA}, and it is for another account now: {BO}."
        )
    assert (record["state"], rows) == ("absent", [])
    assert done["account"].lower() == ANNA
    assert again == done
    assert len(errands.effects()) == 1


@pytest.mark.parametrize("account", [None, ""])
async def test_a_grant_that_says_no_account_is_asked_about(
    errands: Errands, account: str | None
) -> None:
    meta = errands.granted("send_errand", SENT, account=account)
    async with errands.client() as client:
        refused = await client.call_tool("send_errand", SENT, raise_on_error=False, meta=meta)

    assert refused.structured_content is not None
    assert refused.structured_content["error"]["code"] == "approval_required"
    assert ANNA in refused.structured_content["error"]["why"]
    assert errands.effects() == []


async def test_an_account_is_the_same_however_it_is_written(errands: Errands) -> None:
    arguments = {**SENT, "account": " Bo@Example.org "}
    meta = errands.granted("send_errand", arguments, account=" BO@example.org")
    async with errands.client() as client:
        done = await client.call_tool("send_errand", arguments, meta=meta)

    assert done.structured_content is not None
    assert done.structured_content["account"].lower() == BO


async def test_a_standing_grant_is_for_whichever_is_the_default(errands: Errands) -> None:
    arguments = {"errand": "milk"}
    meta = errands.granted(
        "delete_errand", arguments, scope="standing", by="standing approval", account=None
    )
    await errands.make_default(BO)
    async with errands.client() as client:
        done = await client.call_tool("delete_errand", arguments, meta=meta)

    assert done.structured_content is not None
    assert done.structured_content["account"].lower() == BO


async def test_a_default_that_changes_while_it_runs_changes_nothing(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner_of = sign_in_server.owner_of

    async def too_late(*of: Any) -> str:
        await errands.make_default(BO)
        return await owner_of(*of)

    monkeypatch.setattr(sign_in_server, "owner_of", too_late)
    meta = errands.granted("send_errand", SENT)
    async with errands.client() as client:
        done = await client.call_tool("send_errand", SENT, meta=meta)

    assert done.structured_content is not None
    assert done.structured_content["account"].lower() == ANNA


async def test_a_ticket_counts_for_its_account_only(errands: Errands) -> None:
    async with errands.client() as client:
        ticket = (await made(client, "send_errand", SENT))["error"]["ticket_id"]
        await errands.decide(ticket, approve=True, now_s=time.time())
        await errands.make_default(BO)
        others = [(await made(client, "send_errand", SENT))["error"] for _ in range(2)]
        effects = errands.effects()
        await errands.make_default(ANNA)
        done = await made(client, "send_errand", SENT)

    assert [other["code"] for other in others] == ["approval_required"] * 2
    assert others[0]["ticket_id"] == others[1]["ticket_id"] != ticket
    assert effects == []
    assert done["account"].lower() == ANNA
    assert len(errands.effects()) == 1


async def test_the_end_of_a_ticket_is_told_whichever_is_the_default(errands: Errands) -> None:
    async with errands.client() as client:
        await made(client, "send_errand", SENT, call_id="call_t")
        meta = errands.granted("send_errand", SENT, call_id="call_t")
        await client.call_tool("send_errand", SENT, meta=meta)
        await errands.make_default(BO)
        told = await made(client, "send_errand", SENT)

    assert told["account"].lower() == ANNA
    assert len(errands.effects()) == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_person_at_a_client_is_asked_again_for_another_account(
    errands: Errands, mode: Literal["auto", "legacy"]
) -> None:
    asked: list[str] = []

    async def answer(message: str, *_: Any) -> ElicitResult:
        asked.append(message)
        await errands.make_default(BO)
        return ElicitResult(action="accept", content={"approve": True})

    async with errands.client(answer, mode) as client:
        done = await made(client, "send_errand", SENT)

    assert f"Account: {ANNA}" in asked[0]
    assert f"Account: {BO}" in asked[1]
    assert f"It was approved for {ANNA}" in asked[1]
    assert len(asked) == 2
    assert done["account"].lower() == BO
    assert len(errands.effects()) == 1


async def test_whoever_asks_the_owner_is_told_the_account_first(
    tmp_path: Path, google: FakeGoogle
) -> None:
    google.person(ANNA)
    with running_sign_in(tmp_path, google) as server:

        def told(tool: str, **arguments: Any) -> tuple[int, Any]:
            answer = server.ask("POST", f"/previews/{tool}", {"arguments": arguments})
            return answer.status_code, answer.json()

        status, nobody = await asyncio.to_thread(told, "send_errand", **SENT)
        await asyncio.to_thread(server.sign_in, "write")
        known = told("send_errand", **SENT)
        planned = told("plan_errand", errand="milk")
        stranger = told("send_errand", **SENT, account=BO)
        wrong, ungated = told("send_errand"), told("read_errand", errand="milk")

    error = nobody["error"]
    assert (status, error["code"], error["reason"]) == (409, "sign_in_required", "no_account")
    assert (error["provider"], error["capability"]) == ("Google", "write")
    assert known == (200, {"account": ANNA, "lines": [], "text": None})
    assert (planned[1]["account"], planned[1]["text"]) == (ANNA, "Fetch milk.")
    assert (stranger[0], BO in stranger[1]["error"]) == (409, True)
    assert (wrong[0], ungated[0]) == (422, 404)
