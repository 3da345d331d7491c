"""The accounts of servers, as the owner's programs and pages see and change them."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from orchestrator.store import audit
from tests.fakes.account_server import CODE, TOKEN, AccountServer, account, running_accounts
from tests.orchestrator.api.doorway import Answer, Door
from tests.orchestrator.api.house import owner_of, token_of, whole_house

ACCOUNTS = "/api/accounts"
SIGN_INS = f"{ACCOUNTS}/mail/sign-ins"


@pytest.fixture
def mail() -> Iterator[AccountServer]:
    with running_accounts(AccountServer("mail")) as server:
        yield server


@pytest.fixture
def house(mail: AccountServer, tmp_path: Any) -> Iterator[Door]:
    gone = {"url": "http://127.0.0.1:9/mcp", "trust": "fleet"}
    servers = [
        mail.document(),
        mail.document(id="off", enabled=False, token_file=None),
        mail.document(id="foreign", trust="third_party", token_file=None),
        {"id": "gone", **gone},
    ]
    (tmp_path / "data" / "tokens").mkdir(parents=True)
    (tmp_path / "data" / "tokens" / "mail").write_text(TOKEN)
    with whole_house(tmp_path, servers) as door:
        yield door


def ask(house: Door, method: str, path: str, body: Any = None) -> Answer:
    return house.ask(method, path, house.bearer, body)


def begin(house: Door, **body: Any) -> Any:
    answer = ask(house, "POST", SIGN_INS, body)
    assert answer.status == 201, answer.body
    return answer.json


def paste(house: Door, server: AccountServer, /, **answer: str) -> Answer:
    (state,) = server.waiting
    address = f"http://127.0.0.1:1/oauth/mail/callback?{urlencode({'state': state, **answer})}"
    return ask(house, "POST", f"{SIGN_INS}/complete", {"address": f" <{address}>\n"})


def audited(house: Door) -> list[tuple[str, str, Any]]:
    rows = house.run(house.api.state.database.read(audit.page, owner_of(house), None, 50))
    about = ("account_signed_in", "account_signed_out")
    return [(r["action"], r["subject"], r["details"]) for r in rows if r["action"] in about]


def test_accounts_are_told_as_their_server_tells_them(house: Door, mail: AccountServer):
    mail.accounts["anna@example.org"] = account("anna@example.org", "read")
    (item,) = ask(house, "GET", ACCOUNTS).json["items"]

    assert (item["server"], item["title"], item["state"]) == ("mail", "Mail", "ok")
    assert (item["provider"], item["provider_title"]) == ("google", "Google")
    assert item["accounts"] == [mail.accounts["anna@example.org"]]
    assert [one["name"] for one in item["capabilities"]] == ["read", "write"]


@pytest.mark.parametrize(
    ("setup", "accounts", "state", "sign_in"),
    [
        (None, [], "needs_sign_in", "needs_sign_in"),
        ("Set GOOGLE_OAUTH_CLIENT_ID.", [], "not_configured", "needs_sign_in"),
        (None, [account("a@b.c", "read")], "ok", "signed_in"),
        (
            None,
            [account("a@b.c"), account("d@e.f", state="needs_sign_in", problem="It ended.")],
            "needs_sign_in",
            "needs_sign_in",
        ),
    ],
)
def test_a_state_says_what_the_owner_has_to_do(
    house: Door, mail: AccountServer, setup: str | None, accounts: Any, state: str, sign_in: str
):
    mail.setup = setup
    mail.accounts = {one["account"]: one for one in accounts}
    (item,) = ask(house, "GET", ACCOUNTS).json["items"]
    requests = len(mail.asked("/accounts"))
    listed = ask(house, "GET", "/api/mcp/servers").json["items"][0]

    assert (item["state"], item["setup"]) == (state, setup)
    assert listed["sign_in"] == sign_in
    assert len(mail.asked("/accounts")) == requests, "listing the servers asks nobody"


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"{}"),
        (200, b"not json"),
        (200, b" " * 300_000),
        (500, b"crashed"),
        (302, b""),
        (401, b"{}"),
        (200, json.dumps({"provider": "google", "accounts": [account("two words")]}).encode()),
        (200, json.dumps({"accounts": [account("a@b.c", signed_in_at="soon")]}).encode()),
    ],
)
def test_a_server_that_answers_badly_is_unavailable_and_says_why(
    house: Door, mail: AccountServer, answer: tuple[int, bytes]
):
    ask(house, "GET", ACCOUNTS)
    mail.answers.append(answer)
    (item,) = ask(house, "GET", ACCOUNTS).json["items"]

    assert (item["state"], item["accounts"]) == ("unavailable", [])
    assert "Mail" in item["problem"]
    assert item["provider"] == "google", "what it told before"


def test_a_server_that_says_nothing_holds_the_list_up_for_three_seconds(
    house: Door, mail: AccountServer
):
    ask(house, "GET", ACCOUNTS)
    mail.answers.append(None)
    began_at = time.monotonic()
    (item,) = ask(house, "GET", ACCOUNTS).json["items"]

    assert item["state"] == "unavailable"
    assert 2.5 < time.monotonic() - began_at < 8


def test_a_sign_in_is_begun_and_its_address_pasted(house: Door, mail: AccountServer):
    begun = begin(house, capabilities=["read"], account="anna@example.org")
    (asked,) = mail.asked("/accounts/sign-ins")

    assert begun["url"].startswith(mail.provider_url)
    assert begun["redirect_uri"] == f"{house.origin}/oauth/mail/callback"
    assert begun["can_return"] is False, "a token has no browser that could come back"
    assert asked == {
        "capabilities": ["read"],
        "account": "anna@example.org",
        "redirect_uri": begun["redirect_uri"],
    }
    done = paste(house, mail, code=CODE)
    assert (done.status, done.json["account"]) == (200, "anna@example.org")
    details = {"account": "anna@example.org", "capabilities": ["read"]}
    assert audited(house) == [("account_signed_in", "mail", details)]


def test_without_a_wish_the_first_capability_is_asked_for(house: Door, mail: AccountServer):
    begin(house)
    assert mail.asked("/accounts/sign-ins")[0]["capabilities"] == ["read"]


def test_an_address_is_good_once(house: Door, mail: AccountServer):
    begin(house)
    waiting = dict(mail.waiting)
    assert paste(house, mail, code=CODE).status == 200
    mail.waiting = waiting
    again = paste(house, mail, code=CODE)

    assert (again.status, again.json["code"]) == (409, "sign_in_unknown")
    assert len(mail.asked("/accounts/sign-ins/complete")) == 1


def test_a_state_that_was_not_begun_here_is_not_relayed(house: Door, mail: AccountServer):
    mail.waiting["w" * 43] = {"capabilities": ["read"]}  # as `flotilla login` begins one
    answer = paste(house, mail, code=CODE)

    assert (answer.status, answer.json["code"]) == (409, "sign_in_unknown")
    assert mail.asked("/accounts/sign-ins/complete") == []


def test_a_server_does_not_get_the_answer_for_another(house: Door, mail: AccountServer):
    begin(house)
    (state,) = mail.waiting
    path = f"{ACCOUNTS}/gone/sign-ins/complete"
    answer = ask(house, "POST", path, {"address": f"http://x/?state={state}&code={CODE}"})

    assert (answer.status, answer.json["code"]) == (409, "sign_in_unknown")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"error": "access_denied"}, "sign_in_denied"),
        ({"code": "wrong"}, "sign_in_refused"),
    ],
)
def test_a_refusal_of_the_provider_has_a_code_of_its_own(
    house: Door, mail: AccountServer, answer: dict[str, str], code: str
):
    begin(house)
    refused = paste(house, mail, **answer)
    assert (refused.status, refused.json["code"]) == (409, code)


def test_after_the_server_was_away_the_same_address_goes_on(house: Door, mail: AccountServer):
    begin(house)
    mail.answers.append((502, b'{"error": {"code": "unavailable", "message": "Google is away."}}'))
    first = paste(house, mail, code=CODE)

    assert (first.status, first.json["detail"]) == (503, "Google is away.")
    assert paste(house, mail, code=CODE).status == 200


@pytest.mark.parametrize(
    "address",
    [
        "hello",
        "http://[",
        "http://x/?state=short&code=1",
        "http://x/?state=" + "s" * 43,
        "http://x/?code=1",
        "http://x/?state=" + "s" * 43 + "&code=1&code=2",
        "http://x/?state=" + "s" * 43 + "&state=" + "t" * 43 + "&code=1",
        "http://x/?state=" + "s" * 43 + "&code=1&error=no",
        "http://x/?state=" + "s" * 43 + "&code=%00",
        "http://x/?state=" + "s" * 43 + "&code=%ff",
        "?" + "&".join(f"a{n}=1" for n in range(100)),
    ],
)
def test_what_is_no_answer_of_a_provider_is_refused_and_not_repeated(
    house: Door, mail: AccountServer, address: str
):
    answer = ask(house, "POST", f"{SIGN_INS}/complete", {"address": address})

    assert answer.status == 400
    assert "Copy the whole address" in answer.json["detail"]
    assert "s" * 43 not in answer.body.decode()


@pytest.mark.parametrize(
    ("server", "body", "status"),
    [
        ("mail", {"capabilities": ["send"]}, 400),
        ("mail", {"capabilities": ["not a name"]}, 422),
        ("mail", {"account": "a b"}, 422),
        ("mail", {"question_id": "que_none"}, 404),
        ("mail", {"redirect_uri": "https://evil.example.org"}, 422),
        ("nobody", {}, 404),
        ("off", {}, 503),
        ("foreign", {}, 404),
        ("gone", {}, 503),
    ],
)
def test_only_what_a_server_of_the_fleet_offers_can_be_signed_in_to(
    house: Door, mail: AccountServer, server: str, body: Any, status: int
):
    answer = ask(house, "POST", f"{ACCOUNTS}/{server}/sign-ins", body)

    assert answer.status == status
    assert mail.waiting == {}


def test_what_the_owner_has_to_set_first_is_said(house: Door, mail: AccountServer):
    mail.setup = "Set GOOGLE_OAUTH_CLIENT_ID."
    answer = ask(house, "POST", SIGN_INS, {})

    assert (answer.status, answer.json["code"]) == (409, "not_configured")
    assert answer.json["detail"] == mail.setup


@pytest.mark.parametrize(
    "url",
    [
        "http://provider.example.org/",
        "javascript:alert(1)",
        "https://user:pass@provider.example.org/",
        "//provider.example.org/",
        "https://provider.example.org/\r\nSet-Cookie: a=b",
    ],
)
def test_no_browser_is_sent_to_a_strange_address(house: Door, mail: AccountServer, url: str):
    mail.provider_url = url
    assert ask(house, "POST", SIGN_INS, {}).status == 502


def test_an_account_becomes_the_default_and_is_forgotten(house: Door, mail: AccountServer):
    name = "anna+a/b@example.org"
    mail.accounts[name] = account(name, "read")
    path = f"{ACCOUNTS}/mail/anna%2Ba%2Fb%40example.org"

    assert ask(house, "PATCH", path, {"is_default": True}).json["account"] == name
    assert ask(house, "PATCH", path, {"is_default": False}).status == 422
    gone = ask(house, "DELETE", path)
    assert gone.json == {"revoked": True, "message": "Google was told."}
    assert ask(house, "DELETE", path).status == 404
    details = {"account": name, "revoked": True}
    assert audited(house) == [("account_signed_out", "mail", details)]


@pytest.mark.parametrize("path", [SIGN_INS, f"{SIGN_INS}/complete"])
def test_what_is_spelled_out_is_no_account(house: Door, mail: AccountServer, path: str):
    for method in ("GET", "PATCH", "DELETE"):
        body = {"is_default": True} if method == "PATCH" else None
        answer = ask(house, method, path, body)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert mail.requests == []


def test_a_token_of_a_server_reaches_no_accounts(house: Door, mail: AccountServer):
    for method, path in (("GET", ACCOUNTS), ("POST", SIGN_INS), ("DELETE", f"{ACCOUNTS}/mail/a")):
        body = {} if method == "POST" else None
        assert house.ask(method, path, token_of(house, "mail"), body).status == 403
        assert house.ask(method, path, None, body).status == 401
    assert mail.requests == []
