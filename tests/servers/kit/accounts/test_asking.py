"""Who is asked to sign in, when, and what the others are told."""

import asyncio
from pathlib import Path
from typing import Literal

import httpx2
import pytest

from servers.kit.accounts import border
from servers.kit.accounts.addresses import MAX_OPEN
from servers.kit.orchestrator import api_token_file
from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import ANNA, clicked
from tests.servers.kit.accounts.errands import SENT, Errands, Person, made

Mode = Literal["auto", "legacy"]


@pytest.fixture
def errands(tmp_path: Path, google: FakeGoogle) -> Errands:
    return Errands(tmp_path)


async def test_the_orchestrator_is_told_before_it_asks_for_an_approval(
    errands: Errands, google: FakeGoogle
) -> None:
    async with errands.client() as client:
        answer = await made(client, "send_errand", SENT, call_id="c1", approvals="caller")

    assert answer == {
        "error": {
            "code": "sign_in_required",
            "message": "Nobody has signed in to Google yet. This takes a sign-in that lets the"
            " server change your errands. Nothing was done.",
            "server": "effects",
            "provider": "Google",
            "account": None,
            "capability": "write",
            "reason": "no_account",
            "sign_in_url": None,
        }
    }
    assert google.oauth.requests == []


async def test_with_an_orchestrator_a_person_signs_in_there(errands: Errands) -> None:
    file = errands.data_dir / api_token_file("effects")
    file.parent.mkdir(exist_ok=True)
    file.write_text("flo_token", encoding="ascii")
    await errands.sign_in("read")
    async with errands.client() as client:
        error = (await made(client, "add_errand", {"errand": "milk"}))["error"]

    assert error["sign_in_url"] == (
        "http://127.0.0.1:9/oauth/effects/start?capability=write&account=anna%40example.org"
    )
    assert (error["reason"], error["account"]) == ("scope", ANNA)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_does_not_want_to_sign_in_is_not_asked_to_approve(
    errands: Errands, mode: Mode, action: str
) -> None:
    person = Person(action=action)
    async with errands.client(person, mode) as client:
        error = (await made(client, "send_errand", SENT))["error"]

    assert (error["code"], error["sign_in_url"]) == ("sign_in_required", None)
    assert "did not want to; nothing was done" in error["message"]
    assert person.asked == ["url"]
    assert await errands.audit() == []


async def test_no_approval_waits_for_a_call_that_needs_a_sign_in(errands: Errands) -> None:
    async with errands.client() as client:
        assert (await made(client, "send_errand", SENT))["error"]["code"] == "sign_in_required"
        assert await errands.open_tickets() == 0
        await errands.sign_in("write")
        assert (await made(client, "send_errand", SENT))["error"]["code"] == "approval_required"
        assert await errands.open_tickets() == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_waits_for_a_sign_in_that_another_process_completes(
    errands: Errands, mode: Mode
) -> None:
    told: list[str] = []

    async def progress(_done: float, _total: float | None, message: str | None) -> None:
        if not told:
            told.append(message or "")
            await errands.sign_in("write")

    # The person says that they go there, and then uses another window.
    person = Person(goes=lambda _: None)
    async with errands.client(person, mode) as client:
        result = await client.call_tool("add_errand", {"errand": "milk"}, progress_handler=progress)

    assert result.structured_content is not None
    assert result.structured_content["errand"] == "milk"
    assert told == ["Waiting for the sign-in to Google."]
    assert person.asked == ["url"]
    assert len(errands.effects()) == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_patience_ends(errands: Errands, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border, "PATIENCE_S", 0.01)
    person = Person(goes=lambda _: None)
    async with errands.client(person, mode) as client:
        error = (await made(client, "read_errand", {"errand": "milk"}))["error"]
        assert "Nobody did within 0 minutes" in error["message"]
        await asyncio.to_thread(clicked, error["sign_in_url"])
        done = await made(client, "read_errand", {"errand": "milk"})

    assert done["errand"] == "milk"
    assert person.asked == ["url"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_more_rights_are_asked_for_when_they_are_needed(
    errands: Errands, google: FakeGoogle, mode: Mode
) -> None:
    await errands.sign_in("read")
    person = Person()
    async with errands.client(person, mode) as client:
        assert (await made(client, "read_errand", {"errand": "milk"}))["errand"] == "milk"
        assert (await made(client, "add_errand", {"errand": "milk"}))["errand"] == "milk"

    assert person.asked == ["url"]
    assert "does not let the server change your errands" in person.read[0]
    async with errands.accounts() as accounts:
        [account] = await accounts.listed()
    assert account.capabilities == ["read", "write"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_person_who_permits_too_little_is_not_asked_for_ever(
    errands: Errands, google: FakeGoogle, mode: Mode
) -> None:
    google.oauth.unticked = {"https://www.googleapis.com/auth/tasks"}
    person = Person()
    async with asyncio.timeout(20), errands.client(person, mode) as client:
        error = (await made(client, "add_errand", {"errand": "milk"}))["error"]

    assert (error["code"], person.asked) == ("sign_in_required", ["url"])
    assert "came back without permitting it" in error["message"]
    assert errands.effects() == []


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_who_says_no_or_is_somebody_else_is_not_waited_for(
    errands: Errands, google: FakeGoogle, mode: Mode
) -> None:
    await errands.sign_in("write")
    google.oauth.revoke(ANNA)
    person = Person()
    async with asyncio.timeout(20), errands.client(person, mode) as client:
        google.oauth.chosen = "bo@example.org"
        other = (await made(client, "read_errand", {"errand": "milk", "account": ANNA}))["error"]
        google.oauth.is_denied = True
        no = (await made(client, "read_errand", {"errand": "milk", "account": ANNA}))["error"]

    assert person.asked == ["url", "url"]
    for error in (other, no):
        assert (error["code"], error["account"]) == ("sign_in_required", ANNA)
        assert "came back without permitting it, or with another account" in error["message"]


async def test_what_the_owner_has_to_set_first_is_said(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_OAUTH_CLIENT_ID")
    monkeypatch.delenv("GOOGLE_OAUTH_CLIENT_SECRET")
    person = Person()
    async with errands.client(person) as client:
        read = await made(client, "read_errand", {"errand": "milk"})
        sent = await made(client, "send_errand", SENT)

    assert "set GOOGLE_OAUTH_CLIENT_FILE" in read["text"]
    assert sent == read
    assert person.asked == []


async def test_an_account_that_nobody_signed_in_to_is_no_question(errands: Errands) -> None:
    await errands.sign_in("write")
    person = Person()
    async with errands.client(person) as client:
        answer = await made(client, "send_errand", {**SENT, "account": "eve@example.org"})

    assert "Nobody signed in to eve@example.org here" in answer["text"]
    assert person.asked == []


async def test_of_many_addresses_the_oldest_are_given_up(errands: Errands) -> None:
    async with errands.client() as client:
        urls = [
            (await made(client, "read_errand", {"errand": "x", "account": f"p{number}@x.org"}))[
                "error"
            ]["sign_in_url"]
            for number in range(MAX_OPEN + 1)
        ]
        with pytest.raises(httpx2.ConnectError):
            await asyncio.to_thread(clicked, urls[0])
        pages = [await asyncio.to_thread(clicked, url) for url in urls[1:]]

    assert [page.status_code for page in pages] == [200] * MAX_OPEN
