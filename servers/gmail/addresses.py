"""Addresses in headers and in arguments."""

import re
from collections.abc import Iterable, Sequence
from email.headerregistry import Address as HeaderAddress
from email.utils import getaddresses

from servers.gmail.models import Address
from servers.kit.errors import InvalidInput
from servers.kit.foreign_text import clean_text

MAX_HEADER_CHARS = 40_000
MAX_RECIPIENTS = 100
_MAX_NAME_CHARS = 80
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})+"
)


def addresses_in(*headers: str) -> list[Address]:
    """The addresses in headers of a mail that came, as far as they can be read."""
    found: list[Address] = []
    for name, address in getaddresses([header[:MAX_HEADER_CHARS] for header in headers]):
        cleaned = clean_text(address, 254).replace("\n", "").strip()
        if cleaned and "@" in cleaned:
            shown = " ".join(clean_text(name, _MAX_NAME_CHARS).split())
            found.append(Address(address=cleaned, untrusted_name=shown))
    return found


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
    """The bare addresses in headers, in lower case, each once."""
    found = (address.strip().lower() for _, address in getaddresses(list(headers)))
    return list(dict.fromkeys(address for address in found if address))


def without(values: Sequence[Address], own: Iterable[str]) -> list[str]:
    """Those that are not one's own, each once, in the form of a header."""
    left = {one.address.lower(): one for one in values}
    for address in own:
        left.pop(address.lower(), None)
    return [written(one) for one in left.values() if _ADDRESS.fullmatch(one.address)]


def written(address: Address) -> str:
    """In the form of a header."""
    user, _, domain = address.address.rpartition("@")
    return str(HeaderAddress(address.untrusted_name, user, domain))


def _recipient(value: str, argument: str) -> str:
    # A line end would begin another header.
    pairs = getaddresses([value]) if "\n" not in value and "\r" not in value else []
    if len(pairs) != 1 or not _ADDRESS.fullmatch(pairs[0][1]):
        raise InvalidInput(
            f"{argument}: {value[:80]!r} is no address: use anna@example.org or"
            " Anna Doe <anna@example.org>, one in each entry."
        )
    name, address = pairs[0]
    return written(Address(address=address, untrusted_name=clean_text(name, _MAX_NAME_CHARS)))
