"""Where a link really leads, whatever it says."""

import re
from urllib.parse import unquote

from pydantic import BaseModel, Field

from servers.kit.foreign_text.characters import clean_text

MAX_URL_CHARS = 500
MAX_TEXT_CHARS = 100

# A browser drops line ends, ignores how many slashes there are, and takes "\" for "/".
_DROPPED = re.compile(r"[\t\n\r]++")
_WEB = re.compile(r"(https?):[/\\]*+([^/\\?#]*+)", re.IGNORECASE)
_MAIL = re.compile(r"(?:mailto|tel):", re.IGNORECASE)
_NAMED_HOST = re.compile(
    r"^\s*+(?:https?:/*+)?(?:[^\s/@]{1,60}@)?((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?=[/:?#\s]|$)",
    re.IGNORECASE,
)


# Also of a local name or an address; nothing that a browser would look up has anything else in it.
_HOST = re.compile(r"[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\]")


class Link(BaseModel):
    untrusted_text: str = Field(description="What is shown of it.")
    untrusted_url: str
    host: str | None = Field(description="Where it really leads; null for mail and telephone.")
    is_misleading: bool = Field(default=False, description="The text names another host.")


def link_of(href: str, text: str) -> Link | None:
    """The link, or None for what leads nowhere outside the page: scripts, anchors, data."""
    url = _DROPPED.sub("", href).strip("\x00 \x0b\x0c").strip()
    shown = clean_text(" ".join(text.split()), MAX_TEXT_CHARS)
    if web := _WEB.match(url):
        host = _host_of(web[2])
        if _HOST.fullmatch(host) is None:
            return None
        named = _NAMED_HOST.match(shown)
        return Link(
            untrusted_text=shown,
            untrusted_url=clean_text(url, MAX_URL_CHARS),
            host=host,
            is_misleading=named is not None and not _same_site(named[1].lower(), host),
        )
    if _MAIL.match(url):
        address = clean_text(url, MAX_URL_CHARS)
        return Link(untrusted_text=shown, untrusted_url=address, host=None)
    return None


def _host_of(authority: str) -> str:
    """The host behind user names and before the port, in the ASCII form that is looked up."""
    host = unquote(authority.rpartition("@")[2])
    host = host if host.startswith("[") else host.partition(":")[0]
    # A control character makes it none: taken out it would name another host.
    host = host.strip(" ").rstrip(".").lower()
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host.encode("punycode").decode("ascii")


def _same_site(named: str, host: str) -> bool:
    """Whether a person who reads one would expect the other: www.example.org and example.org."""
    named, host = named.removeprefix("www."), host.removeprefix("www.")
    return named == host or host.endswith(f".{named}")
