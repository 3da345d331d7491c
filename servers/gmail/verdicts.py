"""What the receiving server found out about the sender of a mail."""

import re
from collections.abc import Sequence

from servers.gmail.models import Authentication

_COMMENT = re.compile(r"\((?:[^()\\]|\\.){0,2000}\)")
_METHOD = re.compile(r"^\s*(spf|dkim|dmarc)\s*=\s*([a-z]{1,20})", re.IGNORECASE)
_GMAIL = re.compile(r"^\s*mx\.google\.com\b", re.IGNORECASE)


def authentication_in(headers: Sequence[str]) -> Authentication:
    """The verdicts in `Authentication-Results` (RFC 8601) that Gmail itself wrote.

    A sender can write such a header too: Gmail puts its own first, under its own name.
    """
    own = next(iter(headers), "")
    if not _GMAIL.match(own):
        return Authentication()
    found: dict[str, str] = {}
    for clause in _COMMENT.sub(" ", own[:20_000]).split(";")[1:]:
        if method := _METHOD.match(clause):
            name, verdict = method[1].lower(), method[2].lower()
            # Of several signatures one that holds is enough.
            if name not in found or verdict == "pass":
                found[name] = verdict
    return Authentication(**found)
