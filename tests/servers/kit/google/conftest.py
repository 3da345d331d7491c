"""A fake Google, and a server's accounts and API that point at it."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import Account
from servers.kit.google.api import GoogleApi
from servers.kit.google.provider import GoogleProvider
from servers.kit.google.settings import GoogleSettings
from servers.kit.manifest import Capability, SignIn
from servers.kit.settings import KitSettings, SystemdSettings
from tests.fakes.google import FakeGoogle

ANNA = "anna@example.org"
BACK = "http://127.0.0.1:8000/oauth/gmail/callback"
SCOPE = "https://www.googleapis.com/auth/{}"
SIGN_IN = SignIn(
    provider="google",
    capabilities={
        "read": Capability(title="read your mail", scopes=(SCOPE.format("gmail.readonly"),)),
        "organise": Capability(
            title="organise it",
            scopes=(SCOPE.format("gmail.readonly"), SCOPE.format("gmail.modify")),
        ),
    },
)
OpenAccounts = Callable[[], AbstractAsyncContextManager[Accounts]]


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeGoogle]:
    with FakeGoogle() as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def provider(google: FakeGoogle) -> GoogleProvider:
    return GoogleProvider(GoogleSettings())


@pytest.fixture
def open_accounts(
    google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OpenAccounts:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Accounts]:
        accounts = Accounts("gmail", SIGN_IN, GoogleProvider)
        accounts.use_settings(KitSettings(data_dir=tmp_path / "data"), SystemdSettings())
        async with accounts.opened():
            yield accounts

    return opened


@pytest.fixture
async def accounts(open_accounts: OpenAccounts) -> AsyncGenerator[Accounts]:
    async with open_accounts() as opened:
        yield opened


@pytest.fixture
async def api(accounts: Accounts) -> AsyncGenerator[GoogleApi]:
    async with GoogleApi(accounts, "gmail", "v1") as api:
        yield api


def at_the_browser(url: str) -> dict[str, str]:
    """What comes back when a person opens the address: the query of the redirect."""
    answer = httpx2.get(url)
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def sign_in(accounts: Accounts, *capabilities: str, account: str = ANNA) -> Account:
    begun = await accounts.begin(capabilities or ("read",), redirect_uri=BACK, account=account)
    came = at_the_browser(begun.url)
    return await accounts.complete(state=came["state"], code=came["code"])
