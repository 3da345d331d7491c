"""Tokens that end: renewed once, stored before they are used, or told about."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import AccessToken
from servers.kit.accounts.provider import NotConfigured, SignInEnded
from servers.kit.errors import NotAllowed, NotFound, SignInRequired, Unavailable
from tests.servers.kit.accounts.conftest import ANNA, BO, Desk, ToyProvider, signed_in


async def _all(count: int, ask: Callable[[], Coroutine[Any, Any, AccessToken]]) -> set[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask()) for _ in range(count)]
    return {task.result().token for task in tasks}


@pytest.fixture
async def ended(accounts: Accounts, toy: ToyProvider) -> Accounts:
    """Accounts of which ANNA's access token has less than a minute left."""
    toy.life_s = 59
    await signed_in(accounts, "write")
    toy.life_s = 3600
    toy.entered.clear()
    return accounts


@pytest.mark.parametrize("count", [10, 1_000])
async def test_many_calls_at_once_renew_once(ended: Accounts, toy: ToyProvider, count: int) -> None:
    toy.held_up = asyncio.Event()
    asking = asyncio.create_task(_all(count, lambda: ended.access(ANNA, "read")))
    await toy.entered.wait()
    toy.held_up.set()

    assert await asking == {"SECRET-access-2"}
    assert toy.refreshed == ["SECRET-refresh-1"]
    (account,) = await ended.listed()
    assert account.last_refresh_at is not None
    assert account.state == "ok"


async def test_two_accounts_are_renewed_side_by_side(ended: Accounts, toy: ToyProvider) -> None:
    toy.person, toy.life_s = BO, 59
    await signed_in(ended)
    toy.life_s, toy.held_up = 3600, asyncio.Event()
    async with asyncio.TaskGroup() as group:
        anna = group.create_task(ended.access(ANNA, "read"))
        bo = group.create_task(ended.access(BO, "read"))
        await toy.seen(2)
        toy.held_up.set()

    assert {anna.result().account, bo.result().account} == {ANNA, BO}
    assert sorted(toy.refreshed) == ["SECRET-refresh-1", "SECRET-refresh-2"]


async def test_tokens_refused_early_are_renewed_once(accounts: Accounts, toy: ToyProvider) -> None:
    await signed_in(accounts)
    token = await accounts.access(None, "read")
    tokens = await _all(10, lambda: accounts.renewed(token, "read"))

    assert tokens == {"SECRET-access-2"}
    assert toy.refreshed == ["SECRET-refresh-1"]
    assert (await accounts.renewed(token, "read")).token == "SECRET-access-2"
    assert len(toy.refreshed) == 1
    newer = await accounts.access(None, "read")
    assert (await accounts.renewed(newer, "read")).token == "SECRET-access-3"


async def test_what_replaces_a_refresh_token_is_stored_before_it_is_used(
    ended: Accounts, desk: Desk, toy: ToyProvider
) -> None:
    await ended.access(None, "read")
    async with desk.opened() as elsewhere:
        token = await elsewhere.access(None, "read")
        await elsewhere.renewed(token, "read")

    assert toy.refreshed == ["SECRET-refresh-1", "SECRET-refresh-2"]


async def test_a_call_that_is_given_up_does_not_lose_the_tokens(
    ended: Accounts, toy: ToyProvider
) -> None:
    toy.held_up = asyncio.Event()
    asking = asyncio.create_task(ended.access(None, "read"))
    await toy.entered.wait()
    asking.cancel()
    toy.held_up.set()

    assert (await ended.access(None, "read")).token == "SECRET-access-2"
    assert len(toy.refreshed) == 1


async def test_an_ended_sign_in_says_why_to_everybody_and_asks_nobody_again(
    ended: Accounts, toy: ToyProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    toy.error = SignInEnded("Toy says that the permission was taken back.")
    with pytest.raises(SignInRequired, match="taken back") as caught:
        await ended.access(None, "read")
    with pytest.raises(SignInRequired, match="taken back"):
        await ended.check(None, "write")
    (account,) = await ended.listed()

    assert (caught.value.reason, caught.value.account) == ("ended", ANNA)
    assert (account.state, account.problem) == (
        "needs_sign_in",
        "Toy says that the permission was taken back.",
    )
    assert len(toy.refreshed) == 1
    assert caplog.text.count("sign_in_ended") == 1
    toy.error = None
    assert (await signed_in(ended, "read", account=ANNA)).problem is None
    assert (await ended.access(None, "write")).account == ANNA


async def test_a_provider_that_is_away_ends_nothing(ended: Accounts, toy: ToyProvider) -> None:
    toy.error = Unavailable("Toy does not answer.", retry_after_s=3)
    with pytest.raises(Unavailable, match=r"Try again in 3 s"):
        await ended.access(None, "read")
    assert (await ended.listed())[0].state == "ok"
    toy.error = None

    assert (await ended.access(None, "read")).token == "SECRET-access-2"


async def test_a_client_id_that_was_taken_away_is_told(ended: Accounts, toy: ToyProvider) -> None:
    toy.error = NotConfigured("Set TOY_CLIENT_ID.")

    with pytest.raises(NotAllowed, match="Set TOY_CLIENT_ID"):
        await ended.access(None, "read")


async def test_tokens_that_end_at_once_do_not_make_it_ask_for_ever(
    ended: Accounts, toy: ToyProvider
) -> None:
    toy.life_s = 1

    with pytest.raises(Unavailable, match="ends at once"):
        await ended.access(None, "read")
    assert len(toy.refreshed) == 1
    toy.life_s = 3600
    await ended.access(None, "read")
    assert toy.refreshed[1] == "SECRET-refresh-2"  # what came with it had replaced the first


async def test_a_sign_in_during_a_renewal_is_not_overwritten(
    ended: Accounts, toy: ToyProvider
) -> None:
    toy.held_up = asyncio.Event()
    asking = asyncio.create_task(ended.access(None, "read"))
    await toy.entered.wait()
    # The person comes back from the provider meanwhile.
    held_up, toy.held_up = toy.held_up, None
    await signed_in(ended, "write", account=ANNA)
    held_up.set()

    newest = (await asking).token
    assert newest == "SECRET-access-2"
    assert (await ended.access(None, "read")).token == newest
    await ended.renewed(AccessToken(ANNA, newest), "read")
    assert toy.refreshed == ["SECRET-refresh-1", "SECRET-refresh-2"]


async def test_an_account_forgotten_during_a_renewal_stays_forgotten(
    ended: Accounts, toy: ToyProvider
) -> None:
    toy.held_up = asyncio.Event()
    asking = asyncio.create_task(ended.access(None, "read"))
    await toy.entered.wait()
    await ended.forget(ANNA)
    toy.held_up.set()

    with pytest.raises(NotFound, match="signed out meanwhile"):
        await asking
    assert await ended.listed() == []


async def test_a_renewal_that_permits_less_is_seen(ended: Accounts, toy: ToyProvider) -> None:
    toy.withheld = {"mail.write"}

    with pytest.raises(SignInRequired, match="does not let the server write mail"):
        await ended.access(None, "write")
    assert (await ended.access(None, "read")).account == ANNA


async def test_tokens_that_could_not_be_stored_are_not_used_and_not_lost(
    ended: Accounts, toy: ToyProvider
) -> None:
    database = ended._opened().database
    await database.read(lambda conn: conn.execute("PRAGMA query_only = ON").fetchall())
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be written"):
            await ended.access(None, "read")
    await database.read(lambda conn: conn.execute("PRAGMA query_only = OFF").fetchall())

    assert (await ended.access(None, "read")).token == "SECRET-access-2"
    assert toy.refreshed == ["SECRET-refresh-1"]


async def test_a_server_that_stops_lets_a_renewal_end(desk: Desk, toy: ToyProvider) -> None:
    toy.life_s = 59
    async with desk.opened() as accounts:
        await signed_in(accounts)
        toy.entered.clear()
        toy.life_s, toy.held_up = 3600, asyncio.Event()
        asking = asyncio.create_task(accounts.access(None, "read"))
        await toy.entered.wait()
        asyncio.get_running_loop().call_soon(toy.held_up.set)
    assert (await asking).token == "SECRET-access-2"
    with pytest.raises(Unavailable, match="This server is stopping"):
        await accounts.access(None, "read")
    async with desk.opened() as accounts:
        assert (await accounts.access(None, "read")).token == "SECRET-access-2"


async def test_a_look_that_needs_no_renewal_costs_little(accounts: Accounts) -> None:
    await signed_in(accounts)
    began = time.process_time()
    for _ in range(100):
        await accounts.access(None, "read")

    assert time.process_time() - began < 1, "more than 10 ms for each token"
