"""A chat in the browser: asking, watching, stopping, reloading, failing, coming back."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.chat_page import ChatPage
from tests.e2e.conftest import OpenPage, sign_in_link
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, Failure, Round, calls, text
from tests.fakes.openrouter_signal import Gate
from tests.installation import Installation

pytestmark = pytest.mark.browser

PERCENT = Call("calculator__evaluate", {"expression": "17 / 100 * 2340"})


def test_a_question_is_answered_with_a_station_that_opens(chat: ChatPage, model: FakeOpenRouter):
    model.script(calls(PERCENT, reasoning=("A percentage.",)), text("It is ", "**397.8**."))
    answer = chat.ask("what is 17% of 2,340")
    expect(answer.get_by_role("strong")).to_have_text("397.8")
    answer.get_by_role("button", name="calculator evaluate done").click()
    expect(answer.get_by_text("17 / 100 * 2340")).to_be_visible()
    answer.get_by_role("button", name="Raw JSON").click()
    expect(answer.get_by_text('"tool": "calculator__evaluate"')).to_be_visible()
    answer.get_by_role("button", name="Thought").first.click()
    expect(answer.get_by_text("A percentage.")).to_be_visible()
    expect(chat.page).to_have_url(re.compile("/chat/"))


def test_a_reload_in_the_middle_loses_and_doubles_nothing(chat: ChatPage, model: FakeOpenRouter):
    gate = Gate()
    model.script(Round(("One two ", gate, "three four.")))
    chat.say("count")
    expect(chat.answers).to_contain_text("One two")
    chat.page.reload()
    expect(chat.answers).to_contain_text("One two")
    expect(chat.stop_button).to_be_visible()
    gate.open()
    expect(chat.answers).to_have_text("One two three four.")
    expect(chat.send_button).to_be_visible()
    expect(chat.turns).to_have_count(2)


def test_another_tab_follows_a_turn_and_stops_it(
    chat: ChatPage, open_page: OpenPage, model: FakeOpenRouter
):
    gate = Gate()
    model.script(text("First."), Round(("Half an answer", gate, " and more")))
    chat.ask("first")
    other = open_page(chat.page.url.removeprefix(chat.url))
    chat.say("second")
    expect(other.stop_button).to_be_visible(timeout=10_000)
    expect(other.answers.last).to_contain_text("Half an answer")
    other.page.keyboard.press("Escape")
    for tab in (chat, other):
        expect(tab.page.get_by_text("You stopped this answer.")).to_be_visible()
        expect(tab.send_button).to_be_visible()
    gate.open()


def test_a_failed_answer_keeps_what_came_and_is_retried(chat: ChatPage, model: FakeOpenRouter):
    model.script(Round(("Half an answer", Failure())), text("All of it."))
    failed = chat.ask("try")
    expect(failed).to_contain_text("Half an answer")
    failed.get_by_role("button", name="Retry").click()
    expect(chat.turns.last).to_contain_text("All of it.")
    expect(chat.button("Retry")).to_have_count(0)


def test_a_message_that_nobody_took_is_kept_and_sent_once(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("Here."))
    chat.page.route("**/api/chat/stream", lambda route: route.abort())
    chat.say("anybody?")
    expect(chat.page.get_by_role("alert")).to_contain_text("Not sent", timeout=15_000)
    chat.page.unroute("**/api/chat/stream")
    chat.button("Retry").click()
    expect(chat.turns.last).to_contain_text("Here.")
    expect(chat.turns).to_have_count(2)


def test_drafts_wait_in_their_chats(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("Yes."))
    chat.ask("a chat")
    chat.composer.fill("half a thought")
    chat.page.keyboard.press("ControlOrMeta+Shift+O")
    expect(chat.composer).to_have_value("")
    expect(chat.composer).to_be_focused()
    chat.page.go_back()
    expect(chat.composer).to_have_value("half a thought")
    chat.page.reload()
    expect(chat.composer).to_have_value("half a thought")


def test_enter_that_ends_a_composition_does_not_send(chat: ChatPage):
    chat.composer.fill("にほん")
    chat.composer.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    chat.composer.press("Shift+Enter")
    expect(chat.composer).to_have_value("にほん\n")
    expect(chat.turns).to_have_count(0)


def test_chats_are_found_renamed_and_deleted(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("The heron stands in the water."))
    chat.ask("tell me of a bird")
    chat.page.keyboard.press("ControlOrMeta+K")
    chat.page.keyboard.type("heron")
    rows = chat.page.get_by_role("navigation").get_by_role("listitem")
    expect(rows).to_have_count(1)
    expect(rows.locator("mark")).to_have_text("heron")
    rows.get_by_role("button").click()
    chat.button("Rename").click()
    chat.page.keyboard.type("Grey heron")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("Grey heron")
    rows.get_by_role("button").click()
    chat.button("Delete").click()
    chat.button("Delete").click()
    expect(rows.filter(has_text="Grey heron")).to_have_count(0)
    expect(chat.page).to_have_url(f"{chat.url}/")


def test_whoever_is_not_signed_in_pastes_a_link(browser: Browser, installation: Installation):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{installation.url}/#sign-in=used-up")
    expect(page.get_by_role("alert")).to_contain_text("used up")
    page.get_by_label("Link or code").fill(sign_in_link(installation))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_a_restart_in_the_middle_is_told_and_the_answer_goes_on(
    chat: ChatPage, model: FakeOpenRouter, installation: Installation
):
    gate = Gate()
    model.script(Round(("Half an answer", gate)), text("And the rest."))
    chat.say("go on")
    expect(chat.answers).to_contain_text("Half an answer")
    installation.kill()
    expect(chat.page.get_by_text("Connection lost.")).to_be_visible()
    installation.start()
    gate.open()
    expect(chat.page.get_by_text("was restarted")).to_be_visible(timeout=15_000)
    expect(chat.answers).to_contain_text("Half an answer")
    chat.button("Continue").click()
    expect(chat.turns.last).to_contain_text("And the rest.")
