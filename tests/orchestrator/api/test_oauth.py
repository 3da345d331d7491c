"""A browser goes to a provider and comes back, and no other browser can come in its place."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from orchestrator.api.authenticator import Principal
from orchestrator.api.sign_ins import SignIns
from orchestrator.errors import NotFound, SignInUnknown, StorageFull
from orchestrator.logs import logging_to_files
from orchestrator.store import audit, questions
from tests.fakes.account_server import CODE, TOKEN, AccountServer, account, running_accounts
from tests.orchestrator.api.doorway import PLAIN_ORIGIN, PUBLIC_ORIGIN, Answer, Door
from tests.orchestrator.api.house import whole_house
from tests.orchestrator.store.test_questions import store_question

START = "/oauth/mail/start"
CALLBACK = "/oauth/mail/callback"
FROM_AFAR = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def mail() -> Iterator[AccountServer]:
    with running_accounts(AccountServer("mail")) as server:
        yield server


@pytest.fixture
def house(mail: AccountServer, tmp_path: Path) -> Iterator[Door]:
    foreign = mail.document(id="foreign", trust="third_party", token_file=None)
    (tmp_path / "data" / "tokens").mkdir(parents=True)
    (tmp_path / "data" / "tokens" / "mail").write_text(TOKEN)
    with whole_house(tmp_path, [mail.document(), foreign]) as door:
        yield door


@pytest.fixture
def login(house: Door) -> dict[str, str]:
    return {"Cookie": house.sign_in().cookie}


def begin(house: Door, headers: dict[str, str], query: str = "", **more: Any) -> Answer:
    return house.ask("GET", f"{START}?{query}" if query else START, headers, **more)


def return_of(begun: Answer, **answer: str) -> str:
    """The path to which the provider sends the browser back."""
    (state,) = parse_qs(urlsplit(begun.headers["location"]).query)["state"]
    return f"{CALLBACK}?{urlencode({'state': state, **(answer or {'code': CODE})})}"


def come_back(house: Door, begun: Answer, **answer: str) -> Answer:
    """Come back as a browser does: with the Lax cookie, without the Strict one."""
    return house.ask("GET", return_of(begun, **answer), {"Cookie": begun.cookie, **FROM_AFAR})


def words(page: Answer) -> str:
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    for forbidden in ("base-uri", "form-action", "frame-ancestors"):
        assert f"{forbidden} 'none'" in policy
    text = page.body.decode()
    assert "<script" not in text
    return text


def relayed(mail: AccountServer) -> list[Any]:
    return mail.asked("/accounts/sign-ins/complete")


def test_a_browser_signs_in_without_its_session_cookie_on_the_way_back(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    begun = begin(house, {**login, "Sec-Fetch-Site": "same-origin"}, "capability=read")

    assert begun.status == 303
    assert begun.headers["location"].startswith(mail.provider_url)
    assert begun.headers["cache-control"] == "no-store"
    cookie = begun.headers["set-cookie"]
    name, _, attributes = cookie.partition("; ")
    assert re.fullmatch(r"flotilla_oauth_[0-9a-f]{16}=[\w-]{43}", name)
    assert set(attributes.split("; ")) == {"HttpOnly", "Max-Age=600", "Path=/", "SameSite=lax"}
    (asked,) = mail.asked("/accounts/sign-ins")
    assert asked["redirect_uri"] == f"{house.origin}{CALLBACK}"

    page = come_back(house, begun)
    assert page.status == 200
    assert "Signed in as anna@example.org" in words(page)
    assert "You can close this tab." in words(page)
    assert "Max-Age=0" in page.headers["set-cookie"]
    (body,) = relayed(mail)
    assert body["code"] == CODE


def test_coming_back_twice_relays_once(house: Door, mail: AccountServer, login: dict[str, str]):
    begun = begin(house, login)
    assert come_back(house, begun).status == 200
    again = come_back(house, begun)

    assert again.status == 409
    assert "used already" in words(again)
    assert len(relayed(mail)) == 1


@pytest.mark.parametrize("who", ["no cookie", "the session cookie", "a cookie of another sign-in"])
def test_another_browser_cannot_come_back(
    house: Door, mail: AccountServer, login: dict[str, str], who: str
):
    begun, other = begin(house, login), begin(house, login)
    of_other = begun.cookie.partition("=")[0] + "=" + other.cookie.partition("=")[2]
    cookie = {"no cookie": {}, "the session cookie": login}.get(who, {"Cookie": of_other})
    page = house.ask("GET", return_of(begun), {**cookie, **FROM_AFAR})

    assert page.status == 409
    assert "was not begun here" in words(page)
    assert relayed(mail) == []
    assert come_back(house, begun).status == 200, "who began is not shut out"


def test_a_browser_that_was_signed_out_meanwhile_cannot_come_back(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    begun = begin(house, login)
    assert house.ask("POST", "/api/auth/sign-out", login).status == 204
    page = come_back(house, begun)

    assert page.status == 409
    assert "signed out" in words(page)
    assert relayed(mail) == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_elsewhere_begins_nothing_before_a_click_here(
    house: Door, mail: AccountServer, login: dict[str, str], site: str
):
    page = begin(house, {**login, "Sec-Fetch-Site": site}, "capability=read&x=%22%3E%3Cb%3E")

    assert page.status == 200
    assert 'href="/oauth/mail/start?capability=read&amp;x=%22%3E%3Cb%3E"' in words(page)
    assert mail.requests == []


def test_only_a_login_of_this_browser_begins(house: Door, mail: AccountServer):
    for headers in ({}, house.bearer, {"Cookie": "flotilla_session=wrong"}):
        page = begin(house, headers)
        assert page.status == 401
        assert "flotilla sign-in" in words(page)
    assert mail.requests == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/oauth/nobody/start", 404),
        ("/oauth/foreign/start", 404),
        (f"{START}?capability=send", 400),
        (f"{START}?capability=No%20name", 400),
        (f"{START}?account=a%20b", 400),
        (f"{START}?question=ques_none", 404),
        (f"{START}?capability=%ff", 400),
        (f"{CALLBACK}", 400),
        (f"{CALLBACK}?state={'s' * 43}", 400),
        (f"{CALLBACK}?state={'s' * 43}&code=1&code=2", 400),
        (f"{CALLBACK}?state={'s' * 43}&code=1", 409),
        (f"/oauth/nobody/callback?state={'s' * 43}&code=1", 409),
    ],
)
def test_what_cannot_be_a_sign_in_is_a_page_that_says_so(
    house: Door, mail: AccountServer, login: dict[str, str], path: str, status: int
):
    page = house.ask("GET", path, login)

    assert page.status == status
    assert "s" * 43 not in words(page)
    assert "location" not in page.headers
    assert mail.waiting == {}


def test_no_parameter_chooses_where_a_browser_is_sent(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    evil = quote("https://evil.example.org/", safe="")
    names = ("redirect_uri", "next", "url", "return_to", "server", "state")
    begun = begin(house, login, "&".join(f"{name}={evil}" for name in names))

    assert "evil" not in begun.headers["location"]
    assert "evil" not in str(mail.asked("/accounts/sign-ins"))
    page = house.ask("GET", f"{return_of(begun)}&next={evil}", {"Cookie": begun.cookie})
    assert page.status == 200
    assert "evil" not in words(page)


@pytest.mark.parametrize(
    ("origin", "cookie"), [(PUBLIC_ORIGIN, "__Host-flotilla_session"), (None, "flotilla_session")]
)
def test_the_way_back_is_the_way_in(
    house: Door, mail: AccountServer, login: dict[str, str], origin: str | None, cookie: str
):
    host = origin and origin.partition("://")[2]
    secret = login["Cookie"].partition("=")[2]
    begun = begin(house, {"Cookie": f"{cookie}={secret}"}, host=host)
    (asked,) = mail.asked("/accounts/sign-ins")

    assert asked["redirect_uri"] == f"{origin or house.origin}{CALLBACK}"
    is_https = origin is not None
    assert begun.cookie.startswith("__Host-") == is_https
    assert ("Secure" in begun.headers["set-cookie"]) == is_https


def test_who_reaches_us_without_tls_copies_the_address(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    page = begin(house, login, host=PLAIN_ORIGIN.partition("://")[2])
    (asked,) = mail.asked("/accounts/sign-ins")
    back = f"http://127.0.0.1:8000{CALLBACK}"

    assert asked["redirect_uri"] == back
    assert page.status == 200
    assert f"It begins with</p><p>{back}</p>" in words(page)
    assert f'href="{mail.provider_url}?' in words(page)
    assert "set-cookie" not in page.headers


def test_the_page_that_begins_binds_its_own_browser(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    begun = house.ask("POST", "/api/accounts/mail/sign-ins", login, {"capabilities": ["read"]})
    assert begun.json["can_return"] is True
    (state,) = mail.waiting
    path = f"{CALLBACK}?{urlencode({'state': state, 'code': CODE})}"

    assert house.ask("GET", path, FROM_AFAR).status == 409
    assert house.ask("GET", path, {"Cookie": begun.cookie, **FROM_AFAR}).status == 200


def test_a_question_says_what_to_sign_in_to_and_is_answered(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    database = house.api.state.database
    wanted = {"capability": "write", "account": "anna@example.org"}
    owner_id, question = house.run(database.write(store_question, **wanted))
    query = f"question={question.id}"
    begun = begin(house, login, query)
    (asked,) = mail.asked("/accounts/sign-ins")
    assert (asked["capabilities"], asked["account"]) == (["write"], "anna@example.org")

    assert come_back(house, begun).status == 200
    assert house.run(database.read(questions.get, owner_id, question.id)).state == "done"
    late = begin(house, login, query)
    assert (late.status, "it was answered" in words(late)) == (409, True)


def test_a_question_about_another_server_begins_nothing(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    _, question = house.run(house.api.state.database.write(store_question, server="calendar"))
    assert begin(house, login, f"question={question.id}").status == 409
    assert mail.waiting == {}


def test_accounts_that_were_signed_in_elsewhere_answer_when_they_are_seen(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    database = house.api.state.database
    owner_id, question = house.run(database.write(store_question, capability="write"))
    mail.accounts["bo@example.org"] = account("bo@example.org", "read")
    assert house.ask("GET", "/api/accounts", login).status == 200
    assert house.run(database.read(questions.get, owner_id, question.id)).state == "pending"

    mail.accounts["bo@example.org"] = account("bo@example.org", "read", "write")
    assert house.ask("GET", "/api/accounts", login).status == 200
    assert house.run(database.read(questions.get, owner_id, question.id)).state == "done"


def test_a_page_says_what_an_account_does_not_permit_any_more(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    mail.accounts["anna@example.org"] = account("anna@example.org", "read", "write")
    page = words(come_back(house, begin(house, login, "capability=read")))

    assert "Signed in as anna@example.org" in page
    assert "does not any more: write your mail" in page
    assert "capability=read&amp;capability=write&amp;account=anna%40example.org" in page


def test_a_full_disk_does_not_unmake_a_sign_in(
    house: Door, mail: AccountServer, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    begun = begin(house, login, "capability=read")

    def full(*_: Any, **__: Any) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(audit, "append", full)
    page = come_back(house, begun)
    assert page.status == 507
    assert "anna@example.org is signed in, but that could not be noted: The disk" in words(page)


def test_a_page_says_when_it_was_another_account_or_permits_too_little(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    mail.refuses, mail.works_until = {"write"}, "2026-11-27T10:30:00Z"
    query = "capability=read&capability=write&account=bo@example.org"
    page = words(come_back(house, begin(house, login, query)))

    assert "Signed in as anna@example.org" in page
    assert "This is not bo@example.org" in page
    assert "does not permit this yet: write your mail" in page
    assert "Google ends this sign-in on 27 November 2026" in page
    again = "/oauth/mail/start?capability=read&amp;capability=write&amp;account=bo%40example.org"
    assert f'href="{again}"' in page


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ({"error": "access_denied"}, "You were not signed in"),
        ({"error": "x", "error_description": "<b>odd</b>"}, "You were not signed in"),
        ({"code": "wrong"}, "The sign-in did not work"),
    ],
)
def test_a_refusal_is_told_and_ends_the_sign_in(
    house: Door, mail: AccountServer, login: dict[str, str], answer: dict[str, str], title: str
):
    begun = begin(house, login)
    page = come_back(house, begun, **answer)

    assert page.status == 409
    assert f"<h1>{title}</h1>" in words(page)
    assert "<b>" not in words(page)
    assert "Max-Age=0" in page.headers["set-cookie"]
    assert "used already" in words(come_back(house, begun))


def test_after_the_server_was_away_reloading_the_page_goes_on(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    begun = begin(house, login)
    mail.answers.append((502, b'{"error": {"code": "unavailable", "message": "Google is away."}}'))
    page = come_back(house, begun)

    assert page.status == 503
    assert "Google is away." in words(page)
    assert "Reload this page" in words(page)
    assert "set-cookie" not in page.headers
    assert come_back(house, begun).status == 200


def test_what_others_wrote_is_text(house: Door, mail: AccountServer, login: dict[str, str]):
    mail.chosen = '"><img/src=x>@example.org'
    page = words(come_back(house, begin(house, login)))

    assert "&quot;&gt;&lt;img/src=x&gt;@example.org" in page
    assert "<img" not in page


def test_only_ways_of_a_browser_lead_here(house: Door, mail: AccountServer, login: dict[str, str]):
    begun = begin(house, login)
    path = return_of(begun)
    foreign = {"Cookie": begun.cookie, "Origin": "https://evil.example.org", **FROM_AFAR}
    assert house.ask("POST", path, foreign).status == 403
    assert house.ask("POST", path, {"Cookie": begun.cookie}).status == 405
    assert house.ask("GET", path, foreign, host="evil.example.org").status == 421
    assert relayed(mail) == []


def test_no_code_no_state_and_no_token_stays_anywhere(
    house: Door, mail: AccountServer, login: dict[str, str], tmp_path: Path
):
    logs = tmp_path / "logs"
    levels = {name: logging.getLogger(name).level for name in ("", "orchestrator")}
    with logging_to_files(logs, "DEBUG"):
        begun = begin(house, login)
        assert come_back(house, begun).status == 200
        assert come_back(house, begun).status == 409
        assert come_back(house, begin(house, login), error="access_denied").status == 409
        mail.answers.append((200, b'{"provider": "' + CODE.encode() + b'"}'))
        house.ask("GET", "/api/accounts", login)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    states = parse_qs(urlsplit(begun.headers["location"]).query)["state"]
    secrets = [CODE, "canary-code", *states, begun.cookie.partition("=")[2]]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]

    assert any("sign_in_completed" in file.read_text() for file in logs.rglob("*.jsonl"))
    for file in files:
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], file
    server_token = [file for file in files if TOKEN.encode() in file.read_bytes()]
    assert server_token == [tmp_path / "data" / "tokens" / "mail"]


def owner_as(house: Door, login: dict[str, str], **changes: Any) -> Principal:
    secret = login["Cookie"].partition("=")[2]
    principal = house.run(house.api.state.authenticator.verify("login", secret))
    return replace(principal, **changes)


def test_another_owner_can_neither_begin_for_a_question_nor_paste(
    house: Door, mail: AccountServer, login: dict[str, str]
):
    sign_ins: SignIns = house.api.state.sign_ins
    _, question = house.run(house.api.state.database.write(store_question))
    stranger = owner_as(house, login, owner_id="own_another")
    begun = begin(house, login)
    (state,) = mail.waiting

    with pytest.raises(NotFound):
        house.run(sign_ins.wish_of(stranger, "mail", question.id))
    with pytest.raises(SignInUnknown):
        house.run(sign_ins.pasted(stranger, "mail", {"state": state, "code": CODE}))
    assert relayed(mail) == []
    assert come_back(house, begun).status == 200


@pytest.mark.parametrize(("limit", "value"), [("LIFE_S", 0), ("MAX_PENDING", 1)])
def test_who_comes_back_too_late_begins_again(
    house: Door,
    mail: AccountServer,
    login: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
):
    monkeypatch.setattr(f"orchestrator.api.sign_ins.{limit}", value)
    begun, later = begin(house, login), begin(house, login)

    assert come_back(house, begun).status == 409
    assert relayed(mail) == []
    assert come_back(house, later).status == (409 if limit == "LIFE_S" else 200)
