"""Addresses in headers and in arguments."""

import re
from collections.abc import Iterable, Sequence
from email.headerregistry import Address as HeaderAddress
from email.utils import getaddresses

from servers.gmail.models import Address
from servers.gmail.texts import MAX_HEADER_READ, header_text
from servers.kit.errors import InvalidInput
from servers.kit.foreign_text import clean_text

MAX_HEADER_CHARS = 40_000
MAX_RECIPIENTS = 100
_MAX_NAME_CHARS = 80
# What stands outside quotation marks in a header without a meaning of its own.
_PLAIN = re.compile(r"[^\s<>()\[\]:;,\\\"@]+@[^\s<>()\[\]:;,\\\"@]+")
_IN_BRACKETS = re.compile(rf"<({_PLAIN.pattern})>")
_SPECIAL = re.compile(r"=\?|\?=|[<>()\[\]:;,\\\"@]")
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})+"
)


def addresses_in(*headers: str) -> list[Address]:
    """The addresses in headers of a mail that came, as far as they can be read.

    One in quotation marks, where any text can stand, is only a name, with an empty address.
    """
    return [one for header in headers for one in _read(header[:MAX_HEADER_CHARS])]


def _read(header: str) -> list[Address]:
    found: list[Address] = []
    for name, address in getaddresses([header]):
        if "@" in address:
            is_plain = _PLAIN.fullmatch(cleaned := clean_text(address, 254)) is not None
            found.append(
                Address(address=cleaned, untrusted_name=_shown(name))
                if is_plain
                else Address(address="", untrusted_name=_shown(f"{name} {address}"))
            )
    # A bracket out of an encoded word hides what follows it.
    return found or [Address(address=one[:254]) for one in _IN_BRACKETS.findall(header)]


def recipients(values: Sequence[str], argument: str) -> list[str]:
    """The addresses of an argument, in the form of a header.

    Raises InvalidInput for what is not one address, with a name or without.
    """
    if len(values) > MAX_RECIPIENTS:
        raise InvalidInput(
            f"{argument} has {len(values)} addresses: use {MAX_RECIPIENTS} or fewer."
        )
    return [_recipient(value, argument) for value in values]


def bare(headers: Iterable[str]) -> list[str]:
    """Every address that stands in headers of ours, in lower case, each once.

    Also those within names and comments: Gmail shows headers with their encoded words read, and
    a bracket or comma out of a name may then hide an address from whoever takes the header apart.
    """
    found = (match.lower() for header in headers for match in _PLAIN.findall(header_text(header)))
    return list(dict.fromkeys(found))


def are_all_plain(headers: Iterable[str]) -> bool:
    """Whether `bare` names everybody a mail with these headers would go to."""

    def is_plain(header: str) -> bool:
        text = header_text(header)
        return len(header) <= MAX_HEADER_READ and text.count("@") == len(_PLAIN.findall(text))

    return all(is_plain(header) for header in headers)


def without(values: Sequence[Address], own: Iterable[str]) -> list[str]:
    """Those that are not one's own, each once, in the form of a header."""
    left = {one.address.lower(): one for one in values}
    for address in own:
        left.pop(address.lower(), None)
    return [written(one) for one in left.values() if _ADDRESS.fullmatch(one.address)]


def written(address: Address) -> str:
    """In the form of a header, its name without what has a meaning there."""
    user, _, domain = address.address.rpartition("@")
    name = " ".join(_SPECIAL.sub(" ", address.untrusted_name).split())
    return str(HeaderAddress(name, user, domain))


def _recipient(value: str, argument: str) -> str:
    # A line end would begin another header.
    pairs = getaddresses([value]) if "\n" not in value and "\r" not in value else []
    if len(pairs) != 1 or not _ADDRESS.fullmatch(pairs[0][1]):
        raise InvalidInput(
            f"{argument}: {value[:80]!r} is no address: use anna@example.org or"
            " Anna Doe <anna@example.org>, one in each entry."
        )
    name, address = pairs[0]
    return written(Address(address=address, untrusted_name=_shown(name)))


def _shown(name: str) -> str:
    return " ".join(clean_text(name, _MAX_NAME_CHARS).split())
