"""Accounts in a folder of their own, a provider in memory, and Google on a real port."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import Account
from servers.kit.accounts.provider import Begun, Provider, SignedIn, Tokens
from servers.kit.google.provider import GoogleProvider
from servers.kit.manifest import SignIn
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.google import FakeGoogle

ANNA = "anna@example.org"
BO = "bo@example.org"
RETURN_TO = "http://127.0.0.1:1/oauth/mail/callback"
SIGN_IN = SignIn.model_validate(
    {
        "provider": "google",
        "capabilities": {
            "read": {"title": "read your mail", "scopes": ["mail.read"]},
            "write": {"title": "write mail", "scopes": ["mail.read", "mail.write"]},
        },
    }
)

GOOGLE_SIGN_IN = SignIn.model_validate(
    {
        "provider": "google",
        "capabilities": {
            "read": {
                "title": "read your tasks",
                "scopes": ["https://www.googleapis.com/auth/tasks.readonly"],
            }
        },
    }
)


@dataclass
class ToyProvider:
    """Gives numbered tokens; what it raises, and who signs in, can be set."""

    name: str = "toy"
    title: str = "Toy"
    person: str = ANNA
    life_s: float = 3600
    works_until: float | None = None
    withheld: set[str] = field(default_factory=set[str])
    error: Exception | None = None
    given: int = 0
    refreshed: list[str] = field(default_factory=list[str])
    revoked: list[str] = field(default_factory=list[str])
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    exchanged: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    held_up: asyncio.Event | None = None
    """Refreshes and exchanges wait for it."""
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    def check_configured(self) -> None:
        if self.error is not None:
            raise self.error

    async def begin(
        self, *, scopes: Collection[str], redirect_uri: str, state: str, account: str | None
    ) -> Begun:
        self.check_configured()
        self.asked.append({"scopes": set(scopes), "state": state, "account": account})
        return Begun(f"https://toy.example/?state={state}", {"verifier": "SECRET-verifier"})

    async def complete(
        self, *, code: str, redirect_uri: str, scopes: Collection[str], secret: Mapping[str, str]
    ) -> SignedIn:
        await self._wait()
        self.exchanged.append({"code": code, "redirect_uri": redirect_uri, **secret})
        return SignedIn(self.person, self._tokens(set(scopes) - self.withheld))

    async def refresh(self, tokens: Tokens) -> Tokens:
        assert tokens.refresh_token is not None
        self.refreshed.append(tokens.refresh_token)
        await self._wait()
        return self._tokens(set(tokens.scopes) - self.withheld)

    async def revoke(self, tokens: Tokens) -> None:
        assert tokens.refresh_token is not None
        self.check_configured()
        self.revoked.append(tokens.refresh_token)

    async def seen(self, refreshes: int) -> None:
        """Return once so many have come."""
        while len(self.refreshed) < refreshes:
            self.entered.clear()
            await self.entered.wait()

    async def _wait(self) -> None:
        self.entered.set()
        if self.held_up is not None:
            await self.held_up.wait()
        self.check_configured()

    def _tokens(self, scopes: set[str]) -> Tokens:
        self.given += 1
        return Tokens(
            access_token=f"SECRET-access-{self.given}",
            expires_at=time.time() + self.life_s,
            refresh_token=f"SECRET-refresh-{self.given}",
            scopes=frozenset(scopes),
            works_until=self.works_until,
        )


@dataclass
class Desk:
    """Accounts of the server `mail`, opened as often as a test wants."""

    data_dir: Path
    provider: Provider
    sign_in: SignIn = SIGN_IN

    @property
    def key_file(self) -> Path:
        return self.data_dir / "config" / "vault.key"

    @property
    def folder(self) -> Path:
        return self.data_dir / "servers" / "mail"

    @property
    def file(self) -> Path:
        return self.folder / "accounts.db"

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Accounts]:
        accounts = Accounts("mail", self.sign_in, lambda: self.provider)
        settings = KitSettings(data_dir=self.data_dir, vault_key_file=self.key_file)
        accounts.use_settings(settings, SystemdSettings())
        async with accounts.opened():
            yield accounts


async def signed_in(accounts: Accounts, *capabilities: str, account: str | None = None) -> Account:
    """The account after a whole sign-in."""
    begun = await accounts.begin(capabilities, redirect_uri=RETURN_TO, account=account)
    return await accounts.complete(state=begun.state, code="SECRET-code")


@pytest.fixture
def toy() -> ToyProvider:
    return ToyProvider()


@pytest.fixture
def desk(tmp_path: Path, toy: ToyProvider) -> Desk:
    return Desk(tmp_path, toy)


@pytest.fixture
async def accounts(desk: Desk) -> AsyncGenerator[Accounts]:
    async with desk.opened() as accounts:
        yield accounts


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeGoogle]:
    """Google at the addresses that the environment says, for this process and those it starts."""
    with FakeGoogle() as google:
        for name, value in google.environment.items():
            monkeypatch.setenv(name, value)
        google.oauth.chosen = ANNA
        yield google


@pytest.fixture
def google_desk(tmp_path: Path, google: FakeGoogle) -> Desk:
    return Desk(tmp_path, GoogleProvider(), GOOGLE_SIGN_IN)


async def code_of(url: str) -> str:
    """What the browser of a person who agrees brings back from Google."""
    async with httpx2.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(url)
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
