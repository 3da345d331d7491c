"""What a chat shows long after, when the addresses of its files have expired."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Response, StorageState, expect

from tests.e2e.conftest import OpenPage, sign_in_link
from tests.e2e.test_attachments import are_uploaded, is_drawn, pick, png, until
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter
from tests.fakes.openrouter_rounds import text
from tests.faults.upload_stores import STORES, store_for
from tests.installation import Installation, running

URL_LIFE_S = 60
"""The shortest that can be set."""

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture(scope="module", params=STORES)
def installation(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shared_model: FakeOpenRouter,
) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("old-files")
    with ExitStack() as stack:
        store = stack.enter_context(store_for(request.param, folder))
        more = {**store.settings, "ATTACHMENTS_URL_LIFE_S": str(URL_LIFE_S)}
        installation = Installation(folder, shared_model.base_url, model=SCRIPT_MODEL, more=more)
        yield stack.enter_context(running(installation))


@pytest.fixture(scope="module")
def signed_in(browser: Browser, installation: Installation) -> StorageState:
    context = browser.new_context()
    page = context.new_page()
    page.goto(sign_in_link(installation))
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    state = context.storage_state()
    context.close()
    return state


def test_an_old_chat_shows_its_pictures_after_their_addresses_expired(
    open_page: OpenPage, model: FakeOpenRouter, installation: Installation
):
    model.script(text("A heron."))
    chat = open_page()
    pick(chat, png())
    are_uploaded(chat, 1)
    chat.ask("look")
    path = chat.page.url.removeprefix(chat.url)
    (item,) = attachments(installation)
    assert is_open(installation.url + item["url"])
    until(lambda: not is_open(installation.url + item["url"]), limit_s=URL_LIFE_S + 30)
    later = open_page()
    answers: list[Response] = []
    later.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - no bound built-in
    later.page.goto(later.url + path)
    is_drawn(later.turns.first.get_by_role("img", name="heron.png"))
    assert any(answer.url.endswith("/content") for answer in answers)
    assert [(answer.status, answer.url) for answer in answers if answer.status >= 400] == []


def attachments(installation: Installation) -> list[dict[str, str]]:
    url = f"{installation.url}/api/attachments"
    answer = httpx2.get(url, headers=installation.bearer, trust_env=False).raise_for_status()
    return answer.json()["items"]


def is_open(url: str) -> bool:
    """Tell whether the address gives the file to somebody who is not signed in."""
    return httpx2.get(url, trust_env=False).status_code == 200
