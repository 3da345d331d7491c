"""What waits for the owner, as a person meets it: in the chat, on the page of approvals, undone."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from tests.e2e.chat_page import ChatPage
from tests.e2e.conftest import OpenPage, sign_in_link
from tests.e2e.test_looks import AXE, PHONE, RUN_AXE, SIGHTS
from tests.fakes.effects import EffectsServer
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.gated_house import error_of, raw_call
from tests.installation import Installation

pytestmark = pytest.mark.browser

MESSAGE = {"to": "ines@example.org", "subject": "Our call", "body": "At 10:15?"}
SEND = Call("effects__send_message", MESSAGE)
MOVE = Call("effects__move_file", {"path": "/inbox/a.pdf", "to": "/2026/a.pdf"})
READ_MAIL = Call("effects__read_mail", {"item_id": "42"})
Sent = Callable[[], list[dict[str, Any]]]
# What fades in has too little contrast for a moment.
HAS_SETTLED = """
Promise.all(document.getAnimations().filter(({effect}) => effect.getTiming().iterations === 1)
    .map(({finished}) => finished)).then(() => null)
"""
GO_TO_CARD = "ControlOrMeta+Alt+Enter"


def card(chat: ChatPage) -> Locator:
    return chat.page.locator("[data-approval]")


def told(chat: ChatPage) -> Locator:
    """What a screen reader was told last."""
    return chat.page.locator("p[role=status]").last


def is_over(chat: ChatPage) -> None:
    expect(chat.send_button).to_be_visible(timeout=15_000)


@pytest.fixture
def sent(effects: EffectsServer) -> Sent:
    """The messages sent since the test began."""
    before = len(effects.effects("send_message"))
    return lambda: [effect.arguments for effect in effects.effects("send_message")[before:]]


def ask_to_send(chat: ChatPage, model: FakeOpenRouter) -> Locator:
    model.script(calls(SEND), text("That is settled."))
    chat.say("write to Ines")
    expect(card(chat)).to_be_visible()
    return card(chat)


def test_the_line_waits_at_a_card_until_it_is_approved(
    chat: ChatPage, model: FakeOpenRouter, sent: Sent
):
    asked = ask_to_send(chat, model)
    expect(asked.get_by_role("heading", name="Send message")).to_be_visible()
    for words in ("ines@example.org", "At 10:15?", "Cannot be undone", "expires in 3 days"):
        expect(asked.get_by_text(words)).to_be_visible()
    expect(chat.button("More ways to approve")).to_have_count(0)
    expect(told(chat)).to_have_text("Waiting for your approval: effects send_message")
    expect(chat.turns.last).to_have_attribute("aria-busy", "false")
    expect(chat.button("Waiting for your approval")).to_be_visible()
    expect(chat.page.get_by_role("link", name="Approvals 1 waiting for you")).to_be_visible()
    expect(chat.composer).to_be_focused()
    assert sent() == []
    chat.button("Approve").click()
    is_over(chat)
    assert sent() == [MESSAGE]
    expect(card(chat)).to_have_count(0)
    expect(chat.page.get_by_role("link", name="Approvals", exact=True)).to_be_visible()


def test_y_approves_and_gives_the_keyboard_back(chat: ChatPage, model: FakeOpenRouter, sent: Sent):
    ask_to_send(chat, model)
    chat.page.keyboard.type("y")
    expect(chat.composer).to_have_value("y")
    chat.page.keyboard.press(GO_TO_CARD)
    expect(card(chat)).to_be_focused()
    chat.page.keyboard.press("Escape")
    expect(chat.composer).to_be_focused()
    chat.page.keyboard.press(GO_TO_CARD)
    chat.page.keyboard.press("y")
    expect(card(chat)).to_have_count(0)
    expect(chat.composer).to_be_focused()
    is_over(chat)
    assert sent() == [MESSAGE]


def test_n_denies_with_a_reason_that_stays(chat: ChatPage, model: FakeOpenRouter, sent: Sent):
    ask_to_send(chat, model)
    chat.page.keyboard.press(GO_TO_CARD)
    chat.page.keyboard.press("n")
    chat.page.keyboard.type("wrong Ines")
    chat.page.keyboard.press("Escape")
    expect(chat.button("Deny")).to_be_focused()
    chat.page.keyboard.press("n")
    expect(chat.page.get_by_label("Reason")).to_have_value("wrong Ines")
    chat.page.keyboard.press("Enter")
    is_over(chat)
    expect(chat.composer).to_be_focused()
    expect(chat.turns.last).to_contain_text("That is settled.")
    for _ in range(2):
        expect(chat.button("effects send_message denied")).to_be_visible()
        expect(chat.turns.last.get_by_text("You denied this: wrong Ines")).to_be_visible()
        chat.page.reload()
    assert sent() == []


def test_changed_arguments_run_and_are_marked(chat: ChatPage, model: FakeOpenRouter, sent: Sent):
    ask_to_send(chat, model)
    chat.button("Edit").click()
    expect(chat.page.get_by_label("to", exact=True)).to_be_focused()
    chat.page.get_by_label("subject").fill("Our call at 10:15")
    chat.page.keyboard.press("Escape")
    expect(card(chat).get_by_text("Our call at 10:15")).to_have_count(0)
    chat.button("Edit").click()
    expect(chat.page.get_by_label("subject")).to_have_value("Our call at 10:15")
    chat.button("Approve changed").click()
    is_over(chat)
    assert sent() == [{**MESSAGE, "subject": "Our call at 10:15"}]
    for _ in range(2):
        chat.button("effects send_message done").click()
        expect(chat.page.get_by_text("Arguments, changed by you")).to_be_visible()
        expect(chat.page.get_by_text("Our call at 10:15")).to_be_visible()
        chat.page.reload()


def test_nested_arguments_are_edited_as_json(
    chat: ChatPage, model: FakeOpenRouter, effects: EffectsServer
):
    model.script(calls(Call("effects__delete_many", {"ids": []})), text("Done."))
    chat.say("clean up")
    chat.button("Edit").click()
    chat.page.get_by_label("ids").fill('["a", ')
    chat.button("Approve changed").click()
    expect(card(chat).get_by_role("alert")).to_have_text("ids is not valid JSON.")
    expect(chat.page.get_by_label("ids")).to_be_focused()
    chat.page.get_by_label("ids").fill('["a", "b"]')
    chat.button("Approve changed").click()
    is_over(chat)
    assert effects.effects("delete_many")[-1].arguments == {"ids": ["a", "b"]}


def test_a_tool_approved_for_good_is_not_asked_about_until_revoked(
    chat: ChatPage, model: FakeOpenRouter
):
    model.script(calls(MOVE), text("One."), calls(MOVE), text("Two."), calls(MOVE), text("Three."))
    chat.say("file it")
    chat.button("More ways to approve").click()
    expect(chat.page.get_by_role("menuitem").first).to_be_focused()
    chat.page.keyboard.press("ArrowDown")
    chat.page.keyboard.press("Enter")
    expect(chat.turns.last).to_contain_text("One.")
    assert "Two." in chat.ask("again").inner_text()
    chat.page.get_by_role("link", name="Approvals").click()
    chat.button("Revoke effects move_file").click()
    expect(chat.button("Revoke effects move_file")).to_have_count(0)
    chat.page.go_back()
    chat.say("and again")
    chat.button("Approve").first.click()
    expect(chat.turns.last).to_contain_text("Three.")


def test_whoever_decides_elsewhere_is_followed_at_once(
    chat: ChatPage, open_page: OpenPage, model: FakeOpenRouter, sent: Sent
):
    ask_to_send(chat, model)
    expect(chat.page).to_have_url(re.compile("/chat/"))
    other = open_page(chat.page.url.removeprefix(chat.url))
    expect(card(other)).to_be_visible()
    other.button("Approve").click()
    for tab in (chat, other):
        expect(card(tab)).to_have_count(0)
        is_over(tab)
        expect(tab.button("effects send_message done")).to_be_visible()
    assert sent() == [MESSAGE]


def test_whoever_is_too_late_is_told_what_was_decided(
    chat: ChatPage, model: FakeOpenRouter, installation: Installation
):
    asked = ask_to_send(chat, model)
    approval_id = asked.get_attribute("data-approval")

    def deny_first(route: Route, _: Request) -> None:
        url = f"{installation.url}/api/approvals/{approval_id}/deny"
        chat.page.request.post(url, headers={"Origin": installation.url})
        route.continue_()

    chat.page.route("**/approve", deny_first)
    chat.button("Approve").click()
    is_over(chat)
    expect(chat.button("effects send_message denied")).to_be_visible()
    expect(chat.turns.last.get_by_role("alert")).to_contain_text("denied")


def test_a_decision_that_does_not_arrive_is_kept(chat: ChatPage, model: FakeOpenRouter, sent: Sent):
    ask_to_send(chat, model)
    chat.page.route("**/deny", lambda route: route.abort())
    chat.button("Deny").click()
    chat.page.get_by_label("Reason").fill("not today")
    chat.page.keyboard.press("Enter")
    expect(card(chat).get_by_role("alert")).to_contain_text("not answering")
    expect(chat.page.get_by_label("Reason")).to_have_value("not today")
    chat.page.unroute("**/deny")
    chat.button("Deny").click()
    is_over(chat)
    expect(chat.turns.last.get_by_text("You denied this: not today")).to_be_visible()
    assert sent() == []


def test_a_turn_that_waits_is_the_same_after_a_reload_and_a_restart(
    chat: ChatPage, model: FakeOpenRouter, installation: Installation, sent: Sent
):
    ask_to_send(chat, model)
    expect(chat.page).to_have_url(re.compile("/chat/"))
    chat.page.reload()
    expect(card(chat).get_by_text("At 10:15?")).to_be_visible()
    expect(told(chat)).to_have_text("Waiting for your approval: effects send_message")
    installation.kill()
    installation.start()
    chat.page.reload()
    chat.button("Approve").click(timeout=15_000)
    is_over(chat)
    assert sent() == [MESSAGE]


def test_stop_takes_the_question_back(chat: ChatPage, model: FakeOpenRouter, sent: Sent):
    model.script(calls(SEND))
    chat.say("write to Ines")
    expect(card(chat)).to_be_visible()
    chat.stop_button.click()
    is_over(chat)
    expect(card(chat)).to_have_count(0)
    expect(chat.page.get_by_text("You stopped this answer.")).to_be_visible()
    expect(chat.page.get_by_role("link", name="Approvals", exact=True)).to_be_visible()
    assert sent() == []


def test_other_programs_are_decided_about_on_a_phone(
    open_page: OpenPage, effects: EffectsServer, sent: Sent
):
    link = error_of(raw_call(effects, "send_message", MESSAGE))["approval_url"]
    phone = open_page(**PHONE)
    phone.page.get_by_role("main").get_by_role("link", name="1 waiting for you").tap()
    expect(card(phone)).to_be_visible()
    phone.page.goto(link)
    expect(card(phone)).to_be_focused()
    expect(card(phone).get_by_text("asks", exact=False).last).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    phone.button("Approve").tap()
    expect(phone.page.get_by_text("It ran.")).to_be_visible(timeout=15_000)
    assert sent() == [MESSAGE]
    phone.page.reload()
    expect(phone.page.get_by_text("Nothing waits for you.")).to_be_visible()
    expect(phone.page.get_by_text("It ran.")).to_be_visible()


def test_an_address_that_names_nothing_says_so(open_page: OpenPage):
    chat = open_page()
    chat.page.goto(f"{chat.url}/approvals/appr_unknown")
    expect(chat.page.get_by_role("alert")).to_contain_text("There is no approval")


def test_whoever_came_for_an_approval_is_led_there_after_signing_in(
    browser: Browser, installation: Installation
):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{installation.url}/approvals")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto(sign_in_link(installation))
    expect(page.get_by_role("heading", name="Approvals")).to_be_visible()
    expect(page).to_have_url(f"{installation.url}/approvals")
    context.close()


def test_changes_are_undone_one_by_one_or_all_of_a_turn(
    chat: ChatPage, model: FakeOpenRouter, effects: EffectsServer
):
    label = Call("effects__add_label", {"item_id": "1", "label": "x"})
    other = Call("effects__add_label", {"item_id": "2", "label": "x"})
    third = Call("effects__add_label", {"item_id": "3", "label": "x"})
    model.script(calls(label, other, third), text("Labelled."))
    answer = chat.ask("label them")
    before = len(effects.effects("remove_label"))
    expect(chat.button("Undo 3 changes")).to_be_visible()
    answer.get_by_role("button", name="Undo effects add_label").first.click()
    expect(answer.get_by_text("Undone", exact=True)).to_have_count(1)
    chat.page.reload()
    expect(answer.get_by_text("Undone", exact=True)).to_have_count(1)
    chat.button("Undo 2 changes").click()
    expect(chat.page.get_by_text("2 changes undone.")).to_be_visible()
    expect(answer.get_by_text("Undone", exact=True)).to_have_count(3)
    assert len(effects.effects("remove_label")) == before + 3


def test_foreign_text_is_marked_and_named_where_it_matters(chat: ChatPage, model: FakeOpenRouter):
    model.script(calls(READ_MAIL), calls(MOVE), text("Read."))
    chat.say("read it")
    expect(card(chat).get_by_text("this chat read mallory@example.org")).to_be_visible()
    mail = chat.button("effects read_mail done")
    expect(mail).to_contain_text("read foreign text")
    mail.click()
    details = chat.page.get_by_text("read foreign text from mallory@example.org", exact=True)
    expect(details).to_be_visible()
    chat.page.keyboard.press(GO_TO_CARD)
    chat.page.keyboard.press("y")
    is_over(chat)


@pytest.mark.parametrize("sight", SIGHTS)
def test_axe_finds_nothing_where_something_waits(
    sight: str, open_page: OpenPage, model: FakeOpenRouter
):
    model.script(calls(READ_MAIL), calls(MOVE), text("Done."))
    chat = open_page(**SIGHTS[sight])
    chat.composer.fill("file it")
    chat.send_button.click()
    expect(card(chat)).to_be_visible()
    look_closely(chat.page)
    chat.page.goto(f"{chat.url}/approvals")
    expect(card(chat)).to_be_visible()
    look_closely(chat.page)
    chat.page.get_by_role("button", name="Approve", exact=True).click()
    expect(chat.page.get_by_text("Approved").first).to_be_visible()
    look_closely(chat.page, opens=False)
    chat.page.go_back()
    is_over(chat)


def look(page: Page) -> None:
    page.evaluate(HAS_SETTLED)
    assert page.evaluate(RUN_AXE) == []


def look_closely(page: Page, *, opens: bool = True) -> None:
    """Let axe look at the card as it is, being edited, being denied, and with its menu open."""
    page.evaluate(AXE.read_text())
    look(page)
    if not opens:
        return
    for name in ("Edit", "Deny"):
        page.get_by_role("button", name=name).click()
        look(page)
        page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="More ways to approve").click()
    look(page)
    page.keyboard.press("Escape")
