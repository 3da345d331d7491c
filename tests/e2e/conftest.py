"""A real browser before a real orchestrator and a real server; only the model is a fake."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from tests.checks.browser import installed_chromium
from tests.e2e.chat_page import ChatPage
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, running_fake
from tests.installation import Installation, free_port, running
from tests.servers.kit.process import running_server

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE = {"width": 1280, "height": 860}

OpenPage = Callable[..., ChatPage]
"""Opens a tab in a context of its own; takes what `Browser.new_context` takes."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_model() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture
def model(shared_model: FakeOpenRouter) -> Iterator[FakeOpenRouter]:
    yield shared_model
    shared_model.forget_scripts()


@pytest.fixture(scope="session")
def house(
    tmp_path_factory: pytest.TempPathFactory, shared_model: FakeOpenRouter
) -> Iterator[tuple[Installation, EffectsServer]]:
    folder = tmp_path_factory.mktemp("e2e")
    (folder / "data").mkdir()
    port = free_port()
    with ExitStack() as stack:
        calculator = stack.enter_context(running_server("calculator", folder / "data", {}))
        home = {"FLOTILLA_ORCHESTRATOR_URL": f"http://127.0.0.1:{port}"}
        effects = stack.enter_context(running_effects(folder / "data", home))
        urls = {"calculator": calculator.url, effects.name: effects.url}
        installation = Installation(
            folder,
            shared_model.base_url,
            model=SCRIPT_MODEL,
            servers=[
                {
                    "id": name,
                    "title": name.title(),
                    "url": url,
                    "token_file": f"tokens/{name}",
                    "trust": "fleet",
                }
                for name, url in urls.items()
            ],
            port=port,
        )
        yield stack.enter_context(running(installation)), effects


@pytest.fixture(scope="session")
def installation(house: tuple[Installation, EffectsServer]) -> Installation:
    return house[0]


@pytest.fixture(scope="session")
def effects(house: tuple[Installation, EffectsServer]) -> EffectsServer:
    return house[1]


@pytest.fixture(scope="session")
def signed_in(browser: Browser, installation: Installation) -> StorageState:
    """The cookie of a browser that used a one-time link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(sign_in_link(installation))
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    assert "#" not in page.url
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(
    browser: Browser, installation: Installation, signed_in: StorageState
) -> Iterator[OpenPage]:
    pages: list[ChatPage] = []

    def open_one(path: str = "/", **options: Any) -> ChatPage:
        context = browser.new_context(**{"viewport": WIDE, "storage_state": signed_in, **options})
        pages.append(ChatPage(context.new_page(), installation.url))
        pages[-1].open(path)
        return pages[-1]

    yield open_one
    for page in pages:
        page.page.context.close()
    assert [fault for page in pages for fault in page.faults] == []


@pytest.fixture
def chat(open_page: OpenPage) -> ChatPage:
    return open_page()


def sign_in_link(installation: Installation) -> str:
    """Return a new one-time link, as `flotilla sign-in` prints it."""
    response = httpx2.post(
        f"{installation.url}/api/auth/links",
        headers=installation.bearer,
        verify=False,
        trust_env=False,
    )
    assert response.status_code == 201, response.text
    return f"{installation.url}/#sign-in={response.json()['code']}"
