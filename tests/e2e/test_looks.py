"""What the page must look like to everyone: accessible, steady, in both themes and on a phone."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.processes import ROOT

pytestmark = pytest.mark.browser

AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
CORPUS = ROOT / "frontend/tests/corpus/answer.md"
RUN_AXE = """
axe.run({resultTypes: ['violations'], preload: false}).then(({violations}) =>
    violations.map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html).join(' ')}`))
"""
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifts.push(entry.value);
}).observe({type: 'layout-shift'});
"""
MAX_SHIFT = 0.02
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
SIGHTS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
    "dark phone": {**PHONE, "color_scheme": "dark", "reduced_motion": "reduce"},
}
WRONG = Call("calculator__evaluate", {"expression": "1 / 0"})
RIGHT = Call("calculator__evaluate", {"expression": "6 * 7"})


@pytest.mark.parametrize("sight", SIGHTS)
def test_axe_finds_nothing(sight: str, open_page: OpenPage, model: FakeOpenRouter):
    model.script(calls(RIGHT, WRONG, reasoning=("Both.",)), text(CORPUS.read_text()))
    chat = open_page(**SIGHTS[sight])
    # Evaluated by the debugger: the content policy would let no other script in.
    chat.evaluate(AXE.read_text())
    assert chat.evaluate(RUN_AXE) == []
    if "phone" in sight:
        chat.composer.fill("show everything")
        chat.send_button.click()
    else:
        chat.say("show everything")
    expect(chat.turns.last).to_have_attribute("aria-busy", "false", timeout=15_000)
    for name in ("Thought", "calculator evaluate done", "calculator evaluate failed"):
        chat.button(name).first.click()
    assert chat.evaluate(RUN_AXE) == []
    if "phone" in sight:
        chat.button("Open the list of chats").click()
        expect(chat.page.get_by_label("Search chats")).to_be_visible()
        assert chat.evaluate(RUN_AXE) == []


def test_nothing_moves_while_an_answer_streams(open_page: OpenPage, model: FakeOpenRouter):
    words = [f"{word} " for word in (CORPUS.read_text() * 3).split(" ")]
    model.script(calls(RIGHT, reasoning=("Hm.",)), text(*words))
    chat = open_page()
    chat.evaluate(WATCH_SHIFTS)
    chat.ask("stream")
    assert sum(chat.evaluate("shifts")) < MAX_SHIFT
    scroller = chat.page.get_by_label("Messages")
    left = "node => node.scrollHeight - node.scrollTop - node.clientHeight"
    assert scroller.evaluate(left) < 2
    chat.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    chat.button("Copy answer").click()
    assert chat.evaluate("copied").strip() == "".join(words).strip()


def test_nothing_is_wider_than_a_small_phone(open_page: OpenPage, model: FakeOpenRouter):
    wide = "| a | b |\n|--|--|\n| " + "word" * 60 + " | b |\n\n```\n" + "x" * 300 + "\n```\n"
    model.script(text(wide + "W" * 200))
    chat = open_page(viewport={"width": 360, "height": 640})
    chat.ask("W" * 200)
    assert chat.evaluate("document.documentElement.scrollWidth") == 360


def test_a_chosen_theme_survives_a_reload(open_page: OpenPage):
    chat = open_page(color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = chat.evaluate(background)
    chat.button("Theme: system").click()
    chat.button("Theme: light").click()
    dark = chat.evaluate(background)
    chat.page.reload()
    expect(chat.button("Theme: dark")).to_be_visible()
    assert chat.evaluate(background) == dark != light
    assert chat.evaluate("localStorage.getItem('flotilla.theme')") == "dark"
