"""Several processes of one server, some of which are killed, against a Google on a real port."""

import asyncio
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeAlias

import pytest

from servers.kit.accounts.models import SignInUnknown
from servers.kit.errors import SignInRequired
from tests.fakes.google import FakeGoogle
from tests.servers.kit.accounts.conftest import ANNA, RETURN_TO, Desk, code_of
from tests.warm import ROOT, WarmProcess

WAIT_S = 30
Race: TypeAlias = Callable[..., WarmProcess]


@pytest.fixture
def race(tmp_path: Path, google: FakeGoogle) -> Generator[Race]:
    """Starts `racer.py` and waits until it asks."""
    started: list[WarmProcess] = []

    def start(*arguments: str) -> WarmProcess:
        process = WarmProcess(
            "tests.servers.kit.accounts.racer",
            str(tmp_path),
            *arguments,
            cwd=ROOT,
            environment=dict(os.environ),
        )
        started.append(process)
        assert process.stdout.readline() == "asking\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(WAIT_S)
        process.stdout.close()


async def _signed_in(desk: Desk, google: FakeGoogle, *, ends: bool) -> None:
    google.oauth.access_life_s = 30 if ends else 3599
    async with desk.opened() as accounts:
        begun = await accounts.begin([], redirect_uri=RETURN_TO)
        await accounts.complete(state=begun.state, code=await code_of(begun.url))
    google.oauth.access_life_s = 3599


async def _taken(google: FakeGoogle) -> None:
    """Returns once the fault that was ordered has begun to happen."""
    async with asyncio.timeout(WAIT_S):
        while google.oauth.faults.left:  # noqa: ASYNC110, it is in another thread
            await asyncio.sleep(0.01)


@pytest.mark.fault
async def test_several_processes_renew_once(
    google_desk: Desk, google: FakeGoogle, race: Race
) -> None:
    google.oauth.rotates = True
    await _signed_in(google_desk, google, ends=True)
    held = google.oauth.faults.next("refresh", hang=True)
    racers = [race("access", "10") for _ in range(3)]
    async with google_desk.opened() as accounts:
        here = asyncio.create_task(accounts.access(None, "read"))
        held.release()
        token = (await here).token

    assert [racer.stdout.readline() for racer in racers] == [f"{token}\n"] * 3
    assert google.oauth.count("refresh") == 1


@pytest.mark.fault
async def test_killed_the_moment_it_has_the_token_it_is_still_signed_in(
    google_desk: Desk, google: FakeGoogle, race: Race
) -> None:
    google.oauth.rotates = True
    await _signed_in(google_desk, google, ends=True)
    assert race("access", "1", "die").wait(WAIT_S) == -9
    async with google_desk.opened() as accounts:
        token = await accounts.access(None, "read")
        assert google.oauth.identity(token.token) is not None
        assert google.oauth.count("refresh") == 1
        # The one it has is the one that Google takes: the other ended with its use.
        await accounts.renewed(token, "read")

    assert [seen.status for seen in google.oauth.requests if seen.kind == "refresh"] == [200, 200]


@pytest.mark.fault
async def test_a_process_killed_while_it_renews_holds_nobody_up(
    google_desk: Desk, google: FakeGoogle, race: Race
) -> None:
    await _signed_in(google_desk, google, ends=True)
    held = google.oauth.faults.next("refresh", hang=True)
    dying = race("access", "1")
    await _taken(google)
    dying.kill()
    assert dying.wait(WAIT_S) == -9

    async with google_desk.opened() as accounts:
        assert (await accounts.access(None, "read")).account == ANNA
    held.release()


@pytest.mark.fault
async def test_killed_between_the_exchange_and_the_note_it_says_so(
    google_desk: Desk, google: FakeGoogle, race: Race
) -> None:
    async with google_desk.opened() as accounts:
        begun = await accounts.begin([], redirect_uri=RETURN_TO)
        code = await code_of(begun.url)
        google.oauth.faults.next("userinfo", hang=True)
        dying = race("complete", begun.state, code)
        await _taken(google)
        dying.kill()
        dying.wait(WAIT_S)

        assert google.oauth.count("exchange") == 1
        with pytest.raises(SignInUnknown, match=r"how that ended is not known.*begin again"):
            await accounts.complete(state=begun.state, code=code)
        assert await accounts.listed() == []
        with pytest.raises(SignInRequired, match="Nobody has signed in"):
            await accounts.check(None, "read")


async def test_a_permission_taken_back_at_google_is_told(
    google_desk: Desk, google: FakeGoogle
) -> None:
    await _signed_in(google_desk, google, ends=False)
    async with google_desk.opened() as accounts:
        token = await accounts.access(None, "read")
        google.oauth.revoke(ANNA)
        with pytest.raises(SignInRequired) as caught:
            await accounts.renewed(token, "read")
        (account,) = await accounts.listed()

    assert caught.value.reason == "ended"
    assert account.state == "needs_sign_in"
    assert account.problem
    assert account.problem in str(caught.value)


async def test_a_consent_in_testing_says_on_the_first_day_when_it_ends(
    google_desk: Desk, google: FakeGoogle
) -> None:
    google.oauth.is_testing = True
    await _signed_in(google_desk, google, ends=True)
    async with google_desk.opened() as accounts:
        (account,) = await accounts.listed()
        await accounts.access(None, "read")
        (renewed,) = await accounts.listed()

    assert account.works_until is not None
    assert renewed.works_until is not None
    days = (account.works_until - account.signed_in_at).total_seconds() / 86_400
    assert days == pytest.approx(7, abs=0.01)
    assert abs((renewed.works_until - account.works_until).total_seconds()) < 60


async def test_signing_out_ends_the_tokens_at_google(google_desk: Desk, google: FakeGoogle) -> None:
    await _signed_in(google_desk, google, ends=False)
    async with google_desk.opened() as accounts:
        token = await accounts.access(None, "read")
        forgotten = await accounts.forget(ANNA)

    assert forgotten.is_revoked
    assert google.oauth.identity(token.token) is None
