"""Plain pages around a sign-in at a provider: words and one link, no scripts, no forms."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from http import HTTPStatus
from urllib.parse import quote, urlencode

from starlette.responses import HTMLResponse

from orchestrator.api.sign_ins import Completed
from orchestrator.errors import (
    FlotillaError,
    ServerUnavailable,
    SignInDenied,
    SignInNotConfigured,
    SignInRefused,
    SignInUnknown,
)

_STYLE = (
    ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}"
    "body{max-width:34rem;margin:12vh auto;padding:0 1.25rem}"
    "h1{font-size:1.4rem;line-height:1.25}"
    "p{overflow-wrap:anywhere}"
    "a{display:inline-block;min-height:44px;line-height:44px}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Link:
    """The one thing to do on a page."""

    address: str
    """A path of ours, or an address that was checked: nothing a request could choose."""
    text: str


ACCOUNTS = Link("/accounts", "Go to Accounts")
HOME = Link("/", "Go to Flotilla")
_TITLES: dict[type[FlotillaError], str] = {
    SignInUnknown: "This sign-in cannot be used",
    SignInDenied: "You were not signed in",
    SignInRefused: "The sign-in did not work",
    SignInNotConfigured: "Something has to be set first",
    ServerUnavailable: "The server does not answer",
}


def completed(done: Completed) -> HTMLResponse:
    """Say who is signed in, and what is still missing."""
    account = done.account
    paragraphs: list[str] = []
    if done.is_another:
        paragraphs.append(
            f"This is not {done.wish.account}, which was asked for and still needs a sign-in. "
            "Begin again and choose it."
        )
    if done.missing:
        paragraphs.append(
            f"It does not permit this yet: {done.in_words(done.missing)}. Begin again and leave "
            "all boxes ticked."
        )
    if done.lost:
        paragraphs.append(
            f"It permitted more until now, and does not any more: {done.in_words(done.lost)}. "
            "Begin again to permit all of it."
        )
    if account.works_until is not None:
        until = datetime.fromisoformat(account.works_until)
        paragraphs.append(
            f"{done.told.provider_title} ends this sign-in on {until:%-d %B %Y}; then you have to "
            "sign in again."
        )
    if done.is_another or done.missing or done.lost:
        return _page(
            f"Signed in as {account.account}", paragraphs, Link(_again(done), "Begin again")
        )
    paragraphs.append("You can close this tab.")
    return _page(f"Signed in as {account.account}", paragraphs, HOME)


def failed(error: FlotillaError) -> HTMLResponse:
    """Say what went wrong and what to do."""
    kinds = [title for kind, title in _TITLES.items() if isinstance(error, kind)]
    paragraphs = [str(error)]
    if isinstance(error, ServerUnavailable):
        paragraphs.append("Reload this page in a moment: it goes on where it was.")
    title = next(iter(kinds), "The sign-in cannot go on")
    return _page(title, paragraphs, ACCOUNTS, status=error.status)


def go_on(here: str) -> HTMLResponse:
    """Ask for a click, because another page or program led here."""
    paragraph = "A link outside Flotilla led here, to sign in to an account that Flotilla uses."
    return _page("Go on to the sign-in?", [paragraph], Link(here, "Go on"))


def sign_in_first() -> HTMLResponse:
    """Say that this browser is not signed in to Flotilla."""
    paragraph = (
        "This browser is not signed in to Flotilla. Run `flotilla sign-in`, open the link it "
        "prints, and come back here."
    )
    return _page("Sign in to Flotilla first", [paragraph], HOME, status=HTTPStatus.UNAUTHORIZED)


def comes_back_elsewhere(url: str, back: str) -> HTMLResponse:
    """Say what to copy: the browser will be sent to an address that is not ours."""
    why = (
        "You reach Flotilla at an address to which a provider sends nobody back. After you agreed, "
        "the browser will show an error instead."
    )
    what = "Copy the whole address that it then shows and paste it under Accounts. It begins with"
    return _page("Then copy an address", [why, what, back], Link(url, "Go on to the provider"))


def _again(done: Completed) -> str:
    wish = done.wish
    wanted = wish.capabilities if done.is_another else (*wish.capabilities, *done.lost)
    asked = [("capability", name) for name in wanted]
    asked.append(("account", wish.account or done.account.account))
    return f"/oauth/{quote(wish.server, safe='')}/start?{urlencode(asked)}"


def _page(
    title: str, paragraphs: Sequence[str], link: Link, *, status: int = HTTPStatus.OK
) -> HTMLResponse:
    # All texts may hold anything: they are shown as text.
    body = "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - Flotilla</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}"
        f'<p><a href="{escape(link.address)}" rel="noreferrer">{escape(link.text)}</a></p>'
        "</main></body></html>"
    )
    return HTMLResponse(content, status, _HEADERS)
