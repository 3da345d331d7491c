"""From the first click to an account that works, and everything that may go wrong between."""

import asyncio
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import SignInDenied, SignInUnknown
from servers.kit.accounts.provider import NotConfigured, SignInRefused
from servers.kit.errors import InvalidInput, NotFound, SignInRequired, Unavailable
from tests.servers.kit.accounts.conftest import (
    ANNA,
    BO,
    RETURN_TO,
    Desk,
    ToyProvider,
    signed_in,
)


async def test_a_sign_in_gives_an_account_and_a_token(accounts: Accounts, toy: ToyProvider) -> None:
    account = await signed_in(accounts)

    assert account.model_dump(exclude={"signed_in_at"}) == {
        "account": ANNA,
        "state": "ok",
        "is_default": True,
        "capabilities": ["read"],
        "scopes": ["mail.read"],
        "last_refresh_at": None,
        "works_until": None,
        "problem": None,
    }
    assert abs((datetime.now(UTC) - account.signed_in_at).total_seconds()) < 60
    assert await accounts.listed() == [account]
    token = await accounts.access(None, "read")
    assert (token.account, token.token) == (ANNA, "SECRET-access-1")
    assert "SECRET" not in repr(token)
    assert toy.exchanged == [
        {"code": "SECRET-code", "redirect_uri": RETURN_TO, "verifier": "SECRET-verifier"}
    ]
    assert toy.refreshed == []


async def test_states_are_random_and_long(accounts: Accounts) -> None:
    begun = [await accounts.begin([], redirect_uri=RETURN_TO) for _ in range(20)]

    assert len({one.state for one in begun}) == 20
    assert all(len(one.state) == 43 for one in begun)
    assert all(one.state in one.url and one.state not in repr(one) for one in begun)


async def test_a_state_is_good_once(accounts: Accounts, toy: ToyProvider) -> None:
    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    await accounts.complete(state=begun.state, code="code")

    with pytest.raises(SignInUnknown, match="complete already"):
        await accounts.complete(state=begun.state, code="code")
    with pytest.raises(SignInUnknown, match="not known here"):
        await accounts.complete(state="x" * 43, code="code")
    assert len(toy.exchanged) == 1


async def test_of_two_that_come_back_at_once_one_is_completed(
    accounts: Accounts, toy: ToyProvider
) -> None:
    toy.held_up = asyncio.Event()
    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    first = asyncio.create_task(accounts.complete(state=begun.state, code="code"))
    await toy.entered.wait()

    with pytest.raises(SignInUnknown, match="came back before"):
        await accounts.complete(state=begun.state, code="code")
    toy.held_up.set()

    assert (await first).account == ANNA
    assert len(toy.exchanged) == 1


async def test_after_ten_minutes_a_state_is_nothing(accounts: Accounts, desk: Desk) -> None:
    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    in_s = begun.expires_at.timestamp() - time.time()
    with sqlite3.connect(desk.file) as conn:
        conn.execute("UPDATE sign_ins SET expires_at = expires_at - 600")

    assert 590 < in_s <= 600
    with pytest.raises(SignInUnknown, match="more than 10 minutes ago"):
        await accounts.complete(state=begun.state, code="code")


async def test_a_thousand_sign_ins_that_nobody_ends_leave_a_hundred(
    accounts: Accounts, desk: Desk
) -> None:
    first = await accounts.begin([], redirect_uri=RETURN_TO)
    for _ in range(150):
        last = await accounts.begin([], redirect_uri=RETURN_TO)
    with sqlite3.connect(desk.file) as conn:
        assert conn.execute("SELECT COUNT(*) FROM sign_ins").fetchone() == (100,)

    assert (await accounts.complete(state=last.state, code="code")).account == ANNA
    with pytest.raises(SignInUnknown):
        await accounts.complete(state=first.state, code="code")


async def test_a_person_who_says_no_is_quoted(accounts: Accounts, toy: ToyProvider) -> None:
    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    with pytest.raises(SignInDenied, match="not permitted at Toy, so nothing was kept"):
        await accounts.deny(state=begun.state, error="access_denied")
    with pytest.raises(SignInUnknown, match="ended without success"):
        await accounts.complete(state=begun.state, code="code")

    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    with pytest.raises(SignInDenied, match=r"It says: server_error: a<U\+202E>b"):
        await accounts.deny(state=begun.state, error="server_error", description="a\u202eb")
    with pytest.raises(SignInUnknown):
        await accounts.deny(state="nothing", error="access_denied")
    assert toy.exchanged == []
    assert await accounts.listed() == []


async def test_a_code_that_is_refused_ends_the_sign_in(
    accounts: Accounts, toy: ToyProvider
) -> None:
    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    toy.error = SignInRefused("The code was used already.")
    with pytest.raises(SignInRefused, match="used already"):
        await accounts.complete(state=begun.state, code="code")
    toy.error = None

    with pytest.raises(SignInUnknown, match="ended without success"):
        await accounts.complete(state=begun.state, code="code")


async def test_a_provider_that_is_away_can_be_tried_again(
    accounts: Accounts, toy: ToyProvider
) -> None:
    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    toy.error = Unavailable("Toy does not answer.")
    with pytest.raises(Unavailable, match="Toy does not answer"):
        await accounts.complete(state=begun.state, code="code")
    toy.error = None

    assert (await accounts.complete(state=begun.state, code="code")).account == ANNA


async def test_a_browser_that_leaves_does_not_lose_the_sign_in(
    accounts: Accounts, toy: ToyProvider
) -> None:
    toy.held_up = asyncio.Event()
    begun = await accounts.begin([], redirect_uri=RETURN_TO)
    coming_back = asyncio.create_task(accounts.complete(state=begun.state, code="code"))
    await toy.entered.wait()
    coming_back.cancel()
    toy.held_up.set()

    assert await accounts.wait_until_ready(None, "read", 10, since_s=0) == "ready"
    with pytest.raises(asyncio.CancelledError):
        await coming_back


async def test_a_server_that_died_in_the_middle_says_so(desk: Desk, toy: ToyProvider) -> None:
    async with desk.opened() as accounts:
        begun = await accounts.begin([], redirect_uri=RETURN_TO)
        # What a kill leaves: the code was exchanged, and nothing was stored.
        with sqlite3.connect(desk.file) as conn:
            conn.execute("UPDATE sign_ins SET phase = 'exchanging'")

    async with desk.opened() as accounts:
        with pytest.raises(SignInUnknown, match=r"stopped in the middle.*begin again"):
            await accounts.complete(state=begun.state, code="code")
        assert await accounts.listed() == []
        assert toy.exchanged == []


async def test_another_capability_adds_to_what_was_permitted(
    accounts: Accounts, toy: ToyProvider
) -> None:
    await signed_in(accounts, "read")
    with pytest.raises(SignInRequired, match="does not let the server write mail") as caught:
        await accounts.access(ANNA, "write")
    again = await signed_in(accounts, "write", account=ANNA.upper())

    assert (caught.value.reason, caught.value.capability, caught.value.account) == (
        "scope",
        "write",
        ANNA,
    )
    assert toy.asked[-1]["scopes"] == {"mail.read", "mail.write"}
    assert toy.asked[-1]["account"] == ANNA
    assert again.capabilities == ["read", "write"]
    assert (await accounts.access(None, "write")).account == ANNA


async def test_a_box_that_was_unticked_is_seen(accounts: Accounts, toy: ToyProvider) -> None:
    toy.withheld = {"mail.write"}
    account = await signed_in(accounts, "write")

    assert account.capabilities == ["read"]
    assert account.scopes == ["mail.read"]
    with pytest.raises(SignInRequired, match="write mail"):
        await accounts.check(None, "write")


async def test_unknown_capabilities_are_named(accounts: Accounts) -> None:
    with pytest.raises(InvalidInput, match=r"no capability 'fly' \(there are: read, write\)"):
        await accounts.begin(["fly"], redirect_uri=RETURN_TO)


async def test_the_first_account_is_the_default_until_another_is_chosen(
    accounts: Accounts, toy: ToyProvider
) -> None:
    await signed_in(accounts)
    toy.person = BO
    await signed_in(accounts)
    assert [account.account for account in await accounts.listed()] == [ANNA, BO]
    assert (await accounts.access(None, "read")).account == ANNA
    assert (await accounts.access(" Bo@Example.org ", "read")).account == BO

    assert (await accounts.make_default(BO)).is_default
    assert (await accounts.access(None, "read")).account == BO
    await accounts.forget(BO)
    (left,) = await accounts.listed()
    assert (left.account, left.is_default) == (ANNA, True)


async def test_an_account_nobody_signed_in_to_is_told_with_those_there_are(
    accounts: Accounts,
) -> None:
    with pytest.raises(SignInRequired, match="Nobody has signed in to Toy") as caught:
        await accounts.check("carl@example.org", "read")
    assert (caught.value.reason, caught.value.account) == ("no_account", "carl@example.org")
    # Nobody could answer a question for an account of that name.
    with pytest.raises(SignInRequired) as caught:
        await accounts.check("me", "read")
    assert (caught.value.reason, caught.value.account) == ("no_account", None)

    await signed_in(accounts)
    with pytest.raises(NotFound, match=rf"carl@example.org here \(there are: {ANNA}\)"):
        await accounts.access("carl@example.org", "read")
    with pytest.raises(NotFound):
        await accounts.make_default("carl@example.org")
    with pytest.raises(NotFound):
        await accounts.forget("carl@example.org")


async def test_forgetting_ends_it_at_the_provider_too(accounts: Accounts, toy: ToyProvider) -> None:
    await signed_in(accounts)
    forgotten = await accounts.forget(ANNA.upper())

    assert forgotten.is_revoked
    assert toy.revoked == ["SECRET-refresh-1"]
    assert await accounts.listed() == []


async def test_forgetting_says_when_the_provider_could_not_be_told(
    accounts: Accounts, toy: ToyProvider
) -> None:
    await signed_in(accounts)
    toy.error = Unavailable("Toy does not answer.")
    forgotten = await accounts.forget(ANNA)

    assert not forgotten.is_revoked
    assert "Toy could not be told (Toy does not answer.)" in forgotten.message
    assert await accounts.listed() == []


async def test_without_a_client_id_the_owner_reads_what_to_set(
    accounts: Accounts, toy: ToyProvider
) -> None:
    assert accounts.setup() is None
    toy.error = NotConfigured("Set TOY_CLIENT_ID.")

    assert accounts.setup() == "Set TOY_CLIENT_ID."
    with pytest.raises(NotConfigured):
        await accounts.begin([], redirect_uri=RETURN_TO)


async def test_waiting_ends_when_the_sign_in_does_or_the_time(
    accounts: Accounts, desk: Desk
) -> None:
    begun_s = time.time()
    assert await accounts.wait_until_ready(None, "read", 0.01, since_s=begun_s) == "late"
    waiting = asyncio.create_task(accounts.wait_until_ready(None, "read", 20, since_s=begun_s))
    async with desk.opened() as elsewhere:
        await signed_in(elsewhere)

    assert await waiting == "ready"
    assert await accounts.wait_until_ready(None, "write", 20, since_s=begun_s) == "in_vain"
    assert await accounts.wait_until_ready(None, "write", 0.01, since_s=time.time()) == "late"


async def test_an_account_with_an_end_says_when_and_ends_then(
    accounts: Accounts, toy: ToyProvider, desk: Desk
) -> None:
    toy.works_until = time.time() + 604_800
    account = await signed_in(accounts)
    assert account.works_until is not None
    assert account.works_until.timestamp() == pytest.approx(toy.works_until)
    assert account.state == "ok"

    with sqlite3.connect(desk.file) as conn:
        conn.execute("UPDATE accounts SET works_until = 1000000000")
    (account,) = await accounts.listed()
    assert account.state == "needs_sign_in"
    assert account.problem == "Toy let the sign-in work until 2001-09-09 01:46 UTC."
    with pytest.raises(SignInRequired, match="2001-09-09"):
        await accounts.access(None, "read")


def test_its_files_are_private(desk: Desk, tmp_path: Path) -> None:
    async def sign_in() -> dict[str, int]:
        async with desk.opened() as accounts:
            await signed_in(accounts)
            return {path.name: path.stat().st_mode & 0o777 for path in desk.folder.iterdir()}

    files = asyncio.run(sign_in())

    assert {"accounts.db", "accounts.db-wal", "accounts.db.lock"} <= files.keys()
    assert set(files.values()) == {0o600}
    assert desk.folder.stat().st_mode & 0o777 == 0o700
    assert desk.key_file.stat().st_mode & 0o777 == 0o600
