"""A person signs in to Google: real browser, orchestrator and server, and a fake Google.

The orchestrator is `localhost` here and Google `127.0.0.1`, so that they are different sites.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, StorageState, expect

from tests.e2e.chat_page import ChatPage
from tests.e2e.conftest import sign_in_link
from tests.e2e.test_looks import AXE, RUN_AXE, SIGHTS
from tests.fakes.google import FakeGoogle
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.installation import Installation, running
from tests.servers.kit.process import running_server

pytestmark = pytest.mark.browser

ANNA = "anna@example.org"
TASKS = "https://www.googleapis.com/auth/tasks"


@pytest.fixture(scope="module")
def google() -> Iterator[FakeGoogle]:
    with FakeGoogle() as fake:
        fake.oauth.asks = True
        yield fake


@pytest.fixture(scope="module")
def home(
    google: FakeGoogle, shared_model: FakeOpenRouter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("google")
    (folder / "data").mkdir()
    common = {"FLOTILLA_VAULT_KEY_FILE": str(folder / "vault.key"), "FLOTILLA_LOG_LEVEL": "DEBUG"}
    with ExitStack() as stack:
        environment = {**google.environment, **common}
        tasks = stack.enter_context(running_server("google_tasks", folder / "data", environment))
        entry = {"id": "google_tasks", "url": tasks.url, "trust": "fleet"}
        entry["token_file"] = "tokens/google_tasks"
        entry["title"] = "Google Tasks"
        installation = Installation(
            folder, shared_model.base_url, model=SCRIPT_MODEL, servers=[entry], more=common
        )
        yield stack.enter_context(running(installation))


@pytest.fixture(autouse=True)
def nobody_signed_in(home: Installation) -> None:
    for account in accounts(home)["accounts"]:
        with httpx2.Client(base_url=home.url, headers=home.bearer, trust_env=False) as client:
            gone = client.delete(f"/api/accounts/google_tasks/{account['account']}")
            assert gone.status_code == 200, gone.text


@pytest.fixture(scope="module")
def own_url(home: Installation) -> str:
    return f"http://localhost:{home.port}"


@pytest.fixture(scope="module")
def signed_in(browser: Browser, home: Installation, own_url: str) -> StorageState:
    """Once for all tests: there may be ten sign-ins a minute."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(sign_in_link(home).replace(home.url, own_url))
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def owner(browser: Browser, signed_in: StorageState) -> Iterator[BrowserContext]:
    """A browser in which the owner is signed in to Flotilla."""
    context = browser.new_context(storage_state=signed_in)
    yield context
    context.close()


@pytest.fixture
def open_place(owner: BrowserContext, own_url: str) -> Callable[[str, dict[str, Any]], ChatPage]:
    """Opens a page of the owner's as somebody with such a device sees it."""
    state = owner.storage_state()

    def open_one(path: str, sight: dict[str, Any]) -> ChatPage:
        browser = owner.browser
        assert browser is not None
        context = browser.new_context(storage_state=state, **sight)
        page = ChatPage(context.new_page(), own_url)
        page.page.goto(own_url + path)
        return page

    return open_one


def seen_callbacks(page: Page) -> list[Request]:
    callbacks: list[Request] = []
    page.on("request", lambda asked: "/callback?" in asked.url and callbacks.append(asked))
    return callbacks


def secrets_of(google: FakeGoogle) -> list[bytes]:
    """What the provider and the server told each other that nobody else may know."""
    names = ("state", "code", "code_verifier", "client_secret")
    found = {
        seen.parameters[name]
        for seen in google.oauth.requests
        for name in names
        if name in seen.parameters
    }
    assert len(found) >= len(names)
    return [secret.encode() for secret in sorted(found)]


def content_of(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def accounts(home: Installation) -> Any:
    with httpx2.Client(base_url=home.url, verify=False, trust_env=False) as client:
        (item,) = client.get("/api/accounts", headers=home.bearer).json()["items"]
    return item


def test_a_person_signs_in_and_nobody_can_repeat_it(
    browser: Browser, owner: BrowserContext, home: Installation, own_url: str, google: FakeGoogle
):
    google.oauth.chosen, google.oauth.is_testing = ANNA, True
    assert accounts(home)["state"] == "needs_sign_in"
    page = owner.new_page()
    said: list[tuple[str, str]] = []
    page.on("console", lambda message: said.append((message.location["url"], message.text)))
    callbacks = seen_callbacks(page)
    page.goto(f"{own_url}/oauth/google_tasks/start?capability=write")
    page.get_by_role("link", name="Continue").click()

    expect(page.get_by_role("heading", name=f"Signed in as {ANNA}")).to_be_visible()
    expect(page.get_by_text("Google ends this sign-in on")).to_be_visible()
    (callback,) = callbacks
    sent = callback.all_headers()
    assert sent["sec-fetch-site"] == "cross-site"
    assert "flotilla_session" not in sent["cookie"], "it is Strict"
    assert "flotilla_oauth_" in sent["cookie"]
    names = {cookie["name"] for cookie in owner.cookies()}
    assert names == {"flotilla_session"}, "the cookie of the sign-in is gone"
    assert [text for url, text in said if url.startswith(own_url)] == []

    told = accounts(home)
    assert (told["state"], told["accounts"][0]["account"]) == ("ok", ANNA)
    assert TASKS in told["accounts"][0]["scopes"]
    assert told["accounts"][0]["works_until"] is not None

    with page.expect_request(f"{own_url}/") as home_page:
        page.get_by_role("link", name="Go to Flotilla").click()
    assert "referer" not in home_page.value.all_headers(), "it would hold the code"

    page.goto(callback.url)
    expect(page.get_by_role("heading", name="This sign-in cannot be used")).to_be_visible()
    assert google.oauth.count("exchange") == 1
    for secret in secrets_of(google):
        held = [file for file in home.folder.rglob("*") if secret in content_of(file)]
        assert held == [], "logs, databases and all else"


def test_who_says_no_at_google_is_told_so(owner: BrowserContext, own_url: str, google: FakeGoogle):
    google.oauth.chosen, google.oauth.is_denied = ANNA, True
    page = owner.new_page()
    page.goto(f"{own_url}/oauth/google_tasks/start")
    page.get_by_role("link", name="Continue").click()
    google.oauth.is_denied = False

    expect(page.get_by_role("heading", name="You were not signed in")).to_be_visible()
    page.get_by_role("link", name="Go to Accounts").click()
    expect(page).to_have_url(f"{own_url}/accounts")


def test_another_browser_cannot_end_what_this_one_began(
    browser: Browser, owner: BrowserContext, own_url: str, google: FakeGoogle
):
    google.oauth.chosen = ANNA
    page = owner.new_page()
    page.goto(f"{own_url}/oauth/google_tasks/start")
    back = page.get_by_role("link", name="Continue").get_attribute("href")
    assert back is not None
    exchanges = google.oauth.count("exchange")
    stranger = browser.new_context()
    theirs = stranger.new_page()
    theirs.goto(back)
    expect(theirs.get_by_role("heading", name="This sign-in cannot be used")).to_be_visible()
    stranger.close()
    assert google.oauth.count("exchange") == exchanges

    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", name=f"Signed in as {ANNA}")).to_be_visible()


def test_a_link_on_another_page_needs_a_click_here(
    owner: BrowserContext, own_url: str, google: FakeGoogle
):
    google.oauth.chosen = ANNA
    page = owner.new_page()
    elsewhere = "http://127.0.0.1:9/"
    link = f'<a href="{own_url}/oauth/google_tasks/start?capability=read">Sign in</a>'
    page.route(elsewhere, lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(elsewhere)
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("heading", name="Go on to the sign-in?")).to_be_visible()

    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("link", name="Continue")).to_be_visible()


def test_a_call_waits_for_a_sign_in_and_the_answer_goes_on(
    open_place: Any, google: FakeGoogle, model: FakeOpenRouter
):
    google.oauth.chosen = ANNA
    lists = Call("google_tasks__list_lists", {})
    model.script(calls(lists, lists), text("You have one list."))
    chat = open_place("/", {})
    chat.say("Which lists do I have?")
    card = chat.page.get_by_role("region", name="Sign in to Google", exact=True)
    expect(card).to_have_count(1, timeout=15_000)
    expect(chat.turns.last).to_have_attribute("aria-busy", "false")
    button = re.compile("^Waiting for your sign-in")
    expect(chat.page.get_by_role("button", name=button)).to_be_visible()
    chat.page.reload()
    with chat.page.expect_popup() as opened:
        card.get_by_role("link", name="Sign in").click()
    opened.value.get_by_role("link", name="Continue").click()
    expect(opened.value.get_by_role("heading", name=f"Signed in as {ANNA}")).to_be_visible()

    expect(chat.page.get_by_text("You have one list.")).to_be_visible()
    expect(card).to_have_count(0)
    expect(chat.button("google_tasks list_lists done")).to_have_count(2)
    assert chat.faults == []
    chat.page.context.close()


def test_who_does_not_want_to_sign_in_says_so_in_the_card(open_place: Any, model: FakeOpenRouter):
    model.script(calls(Call("google_tasks__list_lists", {})), text("Then I cannot look."))
    chat = open_place("/", {})
    chat.say("Which lists do I have?")
    chat.button("Not now").click()
    expect(chat.page.get_by_text("Then I cannot look.")).to_be_visible(timeout=15_000)
    expect(chat.button("google_tasks list_lists denied")).to_be_visible()
    assert chat.faults == []
    chat.page.context.close()


@pytest.mark.parametrize("sight", SIGHTS)
def test_accounts_are_shown_and_can_be_left(
    open_place: Any, home: Installation, google: FakeGoogle, sight: str
):
    google.oauth.chosen, google.oauth.is_testing = ANNA, True
    place = open_place("/accounts", SIGHTS[sight])
    expect(place.page.get_by_text("Nobody is signed in.")).to_be_visible()
    place.evaluate(AXE.read_text())
    assert place.evaluate(RUN_AXE) == []
    with place.page.expect_popup() as opened:
        place.page.get_by_role("link", name="Sign in to Google Tasks").click()
    opened.value.get_by_role("link", name="Continue").click()
    expect(opened.value.get_by_role("heading", name=f"Signed in as {ANNA}")).to_be_visible()
    opened.value.close()
    place.page.reload()
    expect(place.page.get_by_text(ANNA)).to_be_visible()
    expect(place.page.get_by_text("Works until")).to_be_visible()
    place.evaluate(AXE.read_text())
    assert place.evaluate(RUN_AXE) == []
    width = place.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, "nothing is wider than the page"

    place.button(f"Sign out {ANNA}").click()
    place.page.get_by_role("main").get_by_role("button", name="Sign out").click()
    expect(place.page.get_by_text("Nobody is signed in.")).to_be_visible()
    assert accounts(home)["accounts"] == []
    assert place.faults == []
    place.page.context.close()


def test_an_address_is_pasted_where_the_last_page_does_not_open(
    open_place: Any, owner: BrowserContext, own_url: str, google: FakeGoogle
):
    google.oauth.chosen = ANNA
    elsewhere = owner.new_page()
    elsewhere.goto(f"{own_url}/oauth/google_tasks/start")
    led_to: list[str] = []
    callback = "**/oauth/google_tasks/callback?*"
    elsewhere.route(callback, lambda route: (led_to.append(route.request.url), route.abort()))
    elsewhere.get_by_role("link", name="Continue").click()
    place = open_place("/accounts", {})
    place.page.get_by_text("Signed in on another device").click()
    field = place.page.get_by_label("Address of the last page")
    field.fill("https://example.org/")
    place.button("Finish signing in").click()
    expect(place.page.get_by_role("alert")).to_be_visible()
    field.fill(led_to[0])
    place.button("Finish signing in").click()
    expect(place.page.get_by_text(ANNA)).to_be_visible()
    assert place.faults == []
    place.page.context.close()
