"""The listener that a sign-in comes back to, on the machine of the person."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from servers.kit.accounts.loopback import Loopback
from servers.kit.accounts.models import SignInDenied
from servers.kit.accounts.returning import query_of
from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import ANNA
from tests.servers.kit.accounts.errands import Errands


@pytest.fixture
async def loopback(tmp_path: Path, google: FakeGoogle) -> AsyncGenerator[Loopback]:
    async with Errands(tmp_path).accounts() as accounts:
        opened = await Loopback.open(accounts, ["read"], ANNA)
        yield opened
        await opened.close()


def home_of(loopback: Loopback) -> str:
    return httpx2.URL(loopback.begun.url).params["redirect_uri"]


async def got(url: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as browser:
        return await browser.get(url, headers=headers)


async def test_it_listens_on_this_machine_only_and_ends_with_the_account(
    loopback: Loopback,
) -> None:
    home = httpx2.URL(home_of(loopback))
    page = await got(loopback.begun.url)

    assert (home.scheme, home.host) == ("http", "127.0.0.1")
    assert (await loopback.ended()).account == ANNA
    assert page.text == "Signed in as anna@example.org. You can close this tab.\n"
    assert page.headers["content-type"] == "text/plain; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    second = await got(str(page.url))
    assert (second.status_code, second.text) == (404, "This sign-in is complete already.\n")


async def test_nobody_else_can_end_it(loopback: Loopback, google: FakeGoogle) -> None:
    home = home_of(loopback)
    state = loopback.begun.state
    wrong = [
        await got(home),
        await got(f"{home}?state=guessed&code=c"),
        await got(f"{home}?state=guessed&error=access_denied"),
        await got(f"{home}favicon.ico?state={state}&code=c"),
        await got(f"{home}?state={state}"),
        await got(f"{home}?state={state}&code=c", Host="attacker.example"),
    ]
    async with httpx2.AsyncClient(trust_env=False) as http:
        wrong.append(await http.post(home, params={"state": state, "code": "c"}))

    assert [answer.status_code for answer in wrong] == [422, 404, 404, 404, 422, 421, 404]
    assert google.oauth.count("exchange") == 0
    assert not loopback.is_over
    assert (await got(loopback.begun.url)).status_code == 200


async def test_a_person_who_says_no_is_told_so(loopback: Loopback, google: FakeGoogle) -> None:
    google.oauth.is_denied = True
    page = await got(loopback.begun.url)

    assert page.status_code == 400
    assert page.text.startswith("It was not permitted at Google")
    with pytest.raises(SignInDenied):
        await loopback.ended()


async def test_a_page_can_be_loaded_again_while_the_provider_is_away(
    loopback: Loopback, google: FakeGoogle
) -> None:
    google.oauth.faults.next("exchange", status=503)
    away = await got(loopback.begun.url)
    there = await got(str(away.url))

    assert (away.status_code, there.status_code) == (502, 200)


async def test_what_is_pasted_ends_it_too(loopback: Loopback) -> None:
    async with httpx2.AsyncClient(trust_env=False) as elsewhere:
        address = (await elsewhere.get(loopback.begun.url)).headers["location"]

    assert (await loopback.take(query_of(f'  "{address}"\n'))).account == ANNA
    assert (await loopback.ended()).account == ANNA


async def test_it_can_be_closed_at_once(tmp_path: Path, google: FakeGoogle) -> None:
    async with Errands(tmp_path).accounts() as accounts:
        loopback = await Loopback.open(accounts, [], None)
        home = home_of(loopback)
        await loopback.close()

    with pytest.raises(httpx2.ConnectError):
        await got(home)


async def test_an_open_connection_does_not_keep_it(tmp_path: Path, google: FakeGoogle) -> None:
    async with Errands(tmp_path).accounts() as accounts:
        loopback = await Loopback.open(accounts, [], None)
        home = httpx2.URL(home_of(loopback))
        reader, writer = await asyncio.open_connection(home.host, home.port)
        await loopback.close()

        assert await reader.read() == b""
        writer.close()
