"""The page as a person uses it, and everything that went wrong behind their back."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

ANSWER_TIMEOUT_MS = 15_000
LOADING_FAILED = "Failed to load resource"


@dataclass
class ChatPage:
    """One tab."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list[str])
    """Script errors, violations of the content policy, requests to other hosts."""

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note_message)
        self.page.on("request", self._note_request)

    @property
    def composer(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    @property
    def send_button(self) -> Locator:
        # A station may be named after a tool that sends.
        return self.page.get_by_role("button", name="Send", exact=True)

    @property
    def stop_button(self) -> Locator:
        return self.button("Stop")

    @property
    def answers(self) -> Locator:
        return self.page.locator(".prose")

    @property
    def turns(self) -> Locator:
        """What the person wrote and what came back: one article each."""
        return self.page.get_by_role("article")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.url + path)
        expect(self.composer).to_be_visible()

    def say(self, text: str) -> None:
        """Type a message and press Enter."""
        self.composer.fill(text)
        self.composer.press("Enter")

    def ask(self, text: str) -> Locator:
        """Say something and wait until the answer is over; returns the answer."""
        self.say(text)
        expect(self.turns.last).to_have_attribute("aria-busy", "false", timeout=ANSWER_TIMEOUT_MS)
        expect(self.send_button).to_be_visible()
        return self.turns.last

    def evaluate(self, script: str) -> Any:
        return self.page.evaluate(script)

    def _note_message(self, message: ConsoleMessage) -> None:
        # A browser reports each refused request; what became of it is what tests look at.
        if message.type in ("error", "warning") and LOADING_FAILED not in message.text:
            self.faults.append(message.text)

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"request to {request.url}")
