"""Signing in to Google, with the parts of Google's own libraries that do it."""

import asyncio
import logging
import secrets
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from servers.kit.accounts.provider import (
    NotConfigured,
    SignedIn,
    SignInEnded,
    SignInRefused,
    Tokens,
)
from servers.kit.errors import Unavailable
from servers.kit.google.provider import IDENTITY_SCOPES, GoogleProvider
from servers.kit.google.settings import GoogleSettings
from tests.fakes.google import FakeGoogle
from tests.servers.kit.google.conftest import ANNA, BACK, SCOPE, at_the_browser

READ = SCOPE.format("gmail.readonly")
MODIFY = SCOPE.format("gmail.modify")


def new_state() -> str:
    return secrets.token_urlsafe(32)


async def signed_in(provider: GoogleProvider, *scopes: str) -> SignedIn:
    begun = await provider.begin(scopes=scopes, redirect_uri=BACK, state=new_state(), account=ANNA)
    code = at_the_browser(begun.url)["code"]
    return await provider.complete(code=code, redirect_uri=BACK, scopes=scopes, secret=begun.secret)


async def test_the_address_asks_for_lasting_access_of_one_person(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    state = new_state()
    begun = await provider.begin(scopes=[READ], redirect_uri=BACK, state=state, account=ANNA)

    asked = dict(parse_qsl(urlsplit(begun.url).query))
    assert begun.url.startswith(f"{google.url}/o/oauth2/v2/auth?")
    assert set(asked.pop("scope").split()) == {READ, *IDENTITY_SCOPES}
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": google.oauth.client_id,
        "redirect_uri": BACK,
        "state": state,
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge_method": "S256",
        "login_hint": ANNA,
    }
    assert begun.secret["code_verifier"] not in begun.url
    assert begun.secret["code_verifier"] not in repr(begun)


async def test_a_sign_in_gives_the_account_and_what_was_granted(
    provider: GoogleProvider,
) -> None:
    done = await signed_in(provider, READ)

    assert done.account == ANNA
    assert done.tokens.scopes == {READ, *IDENTITY_SCOPES}
    assert done.tokens.refresh_token is not None
    assert done.tokens.works_until is None
    assert done.tokens.expires_at == pytest.approx(time.time() + 3599, abs=60)


async def test_what_a_person_unticks_is_not_granted(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    google.oauth.unticked = {MODIFY}
    done = await signed_in(provider, READ, MODIFY)

    assert done.tokens.scopes == {READ, *IDENTITY_SCOPES}


async def test_testing_mode_says_when_it_ends_and_renewals_keep_saying_it(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    google.oauth.is_testing = True
    tokens = (await signed_in(provider, READ)).tokens
    in_a_week = time.time() + 7 * 24 * 3600
    assert tokens.works_until == pytest.approx(in_a_week, abs=60)

    assert (await provider.refresh(tokens)).works_until == pytest.approx(in_a_week, abs=60)
    google.oauth.now = lambda: in_a_week + 60
    with pytest.raises(SignInEnded, match="expired or revoked"):
        await provider.refresh(tokens)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"secret": {"code_verifier": "x" * 64}}, "Invalid code verifier"),
        ({"code": "4/0Awrong"}, "Malformed auth code"),
        ({"redirect_uri": "http://127.0.0.1:9/other"}, "address it shall send you back to"),
    ],
)
async def test_a_code_is_exchanged_only_by_who_began(
    provider: GoogleProvider, google: FakeGoogle, change: dict[str, object], sentence: str
) -> None:
    begun = await provider.begin(scopes=[READ], redirect_uri=BACK, state=new_state(), account=ANNA)
    code = at_the_browser(begun.url)["code"]
    arguments = {"code": code, "redirect_uri": BACK, "scopes": [READ], "secret": begun.secret}

    with pytest.raises(SignInRefused, match=sentence):
        await provider.complete(**(arguments | change))  # type: ignore[arg-type]
    assert google.oauth.count("userinfo") == 0


async def test_a_code_works_once_and_not_after_ten_minutes(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    begun = await provider.begin(scopes=[READ], redirect_uri=BACK, state=new_state(), account=ANNA)
    first, second = (at_the_browser(begun.url)["code"] for _ in range(2))

    async def complete(code: str) -> SignedIn:
        return await provider.complete(
            code=code, redirect_uri=BACK, scopes=[READ], secret=begun.secret
        )

    tokens = (await complete(first)).tokens
    with pytest.raises(SignInRefused, match="begin again"):
        await complete(first)
    with pytest.raises(SignInEnded):
        await provider.refresh(tokens)  # somebody else may have used the code
    google.oauth.now = lambda: time.time() + 601
    with pytest.raises(SignInRefused, match="begin again"):
        await complete(second)


async def test_a_wrong_client_secret_is_for_the_owner_to_mend(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    done = await signed_in(provider, READ)
    google.oauth.client_secret = "GOCSPX-another"

    with pytest.raises(NotConfigured, match="client id or its secret"):
        await signed_in(provider, READ)
    with pytest.raises(NotConfigured, match="client id or its secret"):
        await provider.refresh(done.tokens)


async def test_a_renewal_keeps_the_refresh_token_or_takes_the_new_one(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    first = (await signed_in(provider, READ)).tokens
    kept = await provider.refresh(first)
    google.oauth.rotates = True
    rotated = await provider.refresh(kept)

    assert kept.refresh_token == first.refresh_token
    assert kept.access_token != first.access_token
    assert kept.scopes == first.scopes
    assert rotated.refresh_token not in (None, first.refresh_token)
    with pytest.raises(SignInEnded):
        await provider.refresh(kept)


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 429}, {"cut": True}, {"short": True}]
)
async def test_a_renewal_that_fails_for_now_is_tried_once(
    provider: GoogleProvider, google: FakeGoogle, fault: dict[str, object]
) -> None:
    tokens = (await signed_in(provider, READ)).tokens
    google.oauth.faults.next("refresh", **fault)  # type: ignore[arg-type]

    with pytest.raises(Unavailable):
        await provider.refresh(tokens)
    assert google.oauth.count("refresh") == 1
    assert (await provider.refresh(tokens)).access_token != tokens.access_token


@pytest.mark.parametrize("fault", [{"status": 503}, {"cut": True}, {"short": True}])
@pytest.mark.parametrize("request_kind", ["exchange", "userinfo"])
async def test_a_sign_in_that_google_does_not_answer_is_no_refusal(
    provider: GoogleProvider, google: FakeGoogle, request_kind: str, fault: dict[str, object]
) -> None:
    google.oauth.faults.next(request_kind, **fault)  # type: ignore[arg-type]

    with pytest.raises(Unavailable):
        await signed_in(provider, READ)


async def test_what_is_revoked_at_google_ends_for_good(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    tokens = (await signed_in(provider, READ)).tokens
    await provider.revoke(tokens)

    assert google.oauth.identity(tokens.access_token) is None
    await provider.revoke(tokens)  # it had ended already
    with pytest.raises(SignInEnded, match="expired or revoked"):
        await provider.refresh(tokens)


async def test_a_revocation_that_google_did_not_hear_is_told(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    tokens = (await signed_in(provider, READ)).tokens
    google.oauth.faults.next("revoke", status=503)

    with pytest.raises(Unavailable):
        await provider.revoke(tokens)


async def test_no_secret_is_logged_at_any_level(
    provider: GoogleProvider, google: FakeGoogle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    begun = await provider.begin(scopes=[READ], redirect_uri=BACK, state=new_state(), account=ANNA)
    code = (await asyncio.to_thread(at_the_browser, begun.url))["code"]
    caplog.clear()  # the browser is not ours
    done = await provider.complete(code=code, redirect_uri=BACK, scopes=[READ], secret=begun.secret)
    renewed = await provider.refresh(done.tokens)
    await provider.revoke(renewed)

    for secret in (code, begun.secret["code_verifier"], google.oauth.client_secret):
        assert secret not in caplog.text
    for tokens in (done.tokens, renewed):
        assert tokens.access_token not in caplog.text
        assert str(tokens.refresh_token) not in caplog.text


async def test_nothing_can_be_done_without_a_client_id(tmp_path: Path) -> None:
    nothing = GoogleProvider(GoogleSettings(_env_file=None))  # type: ignore[call-arg]
    with pytest.raises(NotConfigured, match="GOOGLE_OAUTH_CLIENT_FILE"):
        nothing.check_configured()

    half = GoogleProvider(GoogleSettings(oauth_client_id="id"))
    with pytest.raises(NotConfigured, match="one of them is not set"):
        half.check_configured()

    missing = GoogleProvider(GoogleSettings(oauth_client_file=tmp_path / "client.json"))
    with pytest.raises(NotConfigured, match="cannot be read"):
        missing.check_configured()


@pytest.mark.parametrize("kind", ["installed", "web"])
def test_the_file_of_the_console_is_enough(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "client_secret.json"
    path.write_text(f'{{"{kind}": {{"client_id": "i", "client_secret": "s", "project_id": "p"}}}}')
    client = GoogleSettings(oauth_client_file=path).client

    assert (client.kind, client.client_id, client.client_secret) == (kind, "i", "s")
    assert "s'" not in repr(client)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type": "service_account"}'])
def test_another_file_of_google_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "client_secret.json"
    path.write_text(text)

    with pytest.raises(NotConfigured, match="Desktop or Web"):
        _ = GoogleSettings(oauth_client_file=path).client


async def test_only_addresses_that_google_allows_are_come_back_to(
    provider: GoogleProvider, google: FakeGoogle
) -> None:
    async def status_of(redirect_uri: str) -> int:
        begun = await provider.begin(
            scopes=[READ], redirect_uri=redirect_uri, state=new_state(), account=ANNA
        )
        return httpx2.get(begun.url).status_code

    assert await status_of("http://localhost:51234/") == 302
    assert await status_of("http://192.168.1.20:8000/oauth/gmail/callback") == 400
    assert await status_of("https://flotilla.example.org/oauth/gmail/callback") == 400

    google.oauth.client_kind = "web"
    with pytest.raises(ValueError, match="https"):
        google.oauth.register_redirect("http://flotilla.example.org/oauth/gmail/callback")
    with pytest.raises(ValueError, match="top-level"):
        google.oauth.register_redirect("https://192.168.1.20/oauth/gmail/callback")
    google.oauth.register_redirect("https://flotilla.example.org/oauth/gmail/callback")
    assert await status_of("https://flotilla.example.org/oauth/gmail/callback") == 302
    assert await status_of("http://127.0.0.1:8000/oauth/gmail/callback") == 400


async def test_without_a_refresh_token_there_is_nothing_to_renew(
    provider: GoogleProvider,
) -> None:
    tokens = (await signed_in(provider, READ)).tokens
    bare: Tokens = replace(tokens, refresh_token=None)

    with pytest.raises(ValueError, match="no refresh token"):
        await provider.refresh(bare)
