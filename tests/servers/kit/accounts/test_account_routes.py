"""What the orchestrator asks a server about its accounts, over HTTP."""

from collections.abc import Generator
from typing import Any

import httpx2
import pytest

from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import ANNA, SignInServer, consented, running_sign_in
from tests.fakes.sign_in_server import READ, WRITE

RETURN_TO = "http://127.0.0.1:8000/oauth/effects/callback"


@pytest.fixture(scope="module")
def shared_google() -> Generator[FakeGoogle]:
    with FakeGoogle() as google:
        google.oauth.chosen = ANNA
        yield google


@pytest.fixture(scope="module")
def server(
    shared_google: FakeGoogle, tmp_path_factory: pytest.TempPathFactory
) -> Generator[SignInServer]:
    with running_sign_in(tmp_path_factory.mktemp("routes"), shared_google) as server:
        yield server


@pytest.fixture(autouse=True)
def nobody_signed_in(server: SignInServer) -> Generator[None]:
    yield
    for account in server.ask("GET", "/accounts").json()["accounts"]:
        server.ask("DELETE", f"/accounts/{account['account']}")


def begun(server: SignInServer, **body: Any) -> httpx2.Response:
    return server.ask("POST", "/accounts/sign-ins", {"redirect_uri": RETURN_TO, **body})


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_server_tells_its_provider_its_capabilities_and_its_accounts(
    server: SignInServer,
) -> None:
    before = server.ask("GET", "/accounts").json()
    server.sign_in("read")
    [account] = server.ask("GET", "/accounts").json()["accounts"]

    assert before == {
        "provider": "google",
        "provider_title": "Google",
        "setup": None,
        "capabilities": [
            {"name": "read", "title": "read your errands", "scopes": [READ]},
            {"name": "write", "title": "change your errands", "scopes": [READ, WRITE]},
        ],
        "accounts": [],
    }
    signed_in_at = account.pop("signed_in_at")
    assert signed_in_at.endswith("Z")
    assert set(account.pop("scopes")) >= {READ}
    assert account == {
        "account": ANNA,
        "state": "ok",
        "is_default": True,
        "capabilities": ["read"],
        "last_refresh_at": None,
        "works_until": None,
        "problem": None,
    }


def test_a_sign_in_is_begun_at_the_provider_and_is_good_once(
    server: SignInServer, shared_google: FakeGoogle
) -> None:
    answer = begun(server, capabilities=["write"], account=ANNA)
    body = answer.json()
    asked = httpx2.URL(body["url"]).params
    back = consented(body["url"])
    sent = {"state": back["state"], "code": back["code"]}
    first = server.ask("POST", "/accounts/sign-ins/complete", sent)
    again = server.ask("POST", "/accounts/sign-ins/complete", sent)

    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert body.keys() == {"url", "state", "expires_at"}
    assert body["expires_at"].endswith("Z")
    assert (asked["redirect_uri"], asked["login_hint"]) == (RETURN_TO, ANNA)
    assert back["state"] == body["state"]
    assert first.json()["capabilities"] == ["read", "write"]
    assert error_of(again) == (404, "sign_in_unknown")
    log = server.log.read_text(encoding="utf-8")
    assert back["code"] not in log
    assert back["state"] not in log


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("", {"redirect_uri": "javascript:x"}, (422, "invalid_request")),
        ("", {}, (422, "invalid_request")),
        ("", {"redirect_uri": RETURN_TO, "capabilities": ["fly"]}, (422, "invalid_request")),
        ("/complete", {"state": "never begun", "code": "c"}, (404, "sign_in_unknown")),
        ("/complete", {"state": "never begun"}, (422, "invalid_request")),
        ("/complete", {"code": "SECRET-code"}, (422, "invalid_request")),
    ],
)
def test_what_cannot_be_is_refused(
    server: SignInServer, path: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    answer = server.ask("POST", f"/accounts/sign-ins{path}", body)

    assert error_of(answer) == expected
    assert "SECRET-code" not in answer.text


def test_a_person_who_says_no_ends_the_sign_in(server: SignInServer) -> None:
    body = begun(server).json()
    sent = {"state": body["state"], "error": "access_denied"}
    answers = [server.ask("POST", "/accounts/sign-ins/complete", sent) for _ in range(2)]

    assert [error_of(answer) for answer in answers] == [
        (400, "sign_in_denied"),
        (404, "sign_in_unknown"),
    ]


def test_a_provider_that_is_away_can_be_asked_again(
    server: SignInServer, shared_google: FakeGoogle
) -> None:
    back = consented(begun(server, account=ANNA).json()["url"])
    sent = {"state": back["state"], "code": back["code"]}
    shared_google.oauth.faults.next("exchange", status=503)

    away = server.ask("POST", "/accounts/sign-ins/complete", sent)
    there = server.ask("POST", "/accounts/sign-ins/complete", sent)

    assert error_of(away) == (502, "unavailable")
    assert there.json()["account"] == ANNA


def test_the_default_can_be_another_account(
    server: SignInServer, shared_google: FakeGoogle
) -> None:
    server.sign_in("read")
    shared_google.oauth.chosen = "bo@example.org"
    server.sign_in("read", account="bo@example.org")
    shared_google.oauth.chosen = ANNA

    changed = server.ask("PATCH", "/accounts/bo@example.org", {"is_default": True})
    listed = server.ask("GET", "/accounts").json()["accounts"]

    assert (changed.json()["account"], changed.json()["is_default"]) == ("bo@example.org", True)
    assert [account["account"] for account in listed] == ["bo@example.org", ANNA]
    assert error_of(server.ask("PATCH", "/accounts/eve@x.org", {"is_default": True})) == (
        404,
        "not_found",
    )
    assert error_of(server.ask("PATCH", f"/accounts/{ANNA}", {"is_default": False})) == (
        422,
        "invalid_request",
    )


def test_an_account_is_forgotten_even_when_the_provider_cannot_be_told(
    server: SignInServer, shared_google: FakeGoogle
) -> None:
    server.sign_in("read")
    shared_google.oauth.faults.next("revoke", status=503)
    untold = server.ask("DELETE", f"/accounts/{ANNA}").json()
    server.sign_in("read")
    told = server.ask("DELETE", f"/accounts/{ANNA}").json()

    assert (untold["revoked"], told["revoked"]) == (False, True)
    assert "could not be told" in untold["message"]
    assert server.ask("GET", "/accounts").json()["accounts"] == []
    assert error_of(server.ask("DELETE", f"/accounts/{ANNA}")) == (404, "not_found")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_without_the_token_nothing_is_told(server: SignInServer, headers: dict[str, str]) -> None:
    with httpx2.Client(trust_env=False) as http:
        answer = http.get(f"{server.origin}/accounts", headers=headers)

    assert answer.status_code == 401


def test_a_server_that_is_not_set_up_says_what_to_set(
    shared_google: FakeGoogle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("not_set_up")
    with running_sign_in(folder, shared_google, GOOGLE_OAUTH_CLIENT_ID="") as server:
        setup = server.ask("GET", "/accounts").json()["setup"]
        answer = begun(server)

    assert "GOOGLE_OAUTH_CLIENT_ID" in setup
    assert error_of(answer) == (409, "not_configured")
    assert answer.json()["error"]["message"] == setup
