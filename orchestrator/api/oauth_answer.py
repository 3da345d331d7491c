"""What a provider put into the address it sent a browser back to (RFC 6749, 4.1.2)."""

import re
from urllib.parse import parse_qs, urlsplit

from orchestrator.errors import InvalidRequest

_MAX_FIELDS = 30
_FORMS = {
    "state": re.compile(r"[\x21-\x7e]{16,512}"),
    "code": re.compile(r"[\x21-\x7e]{1,4096}"),
    "error": re.compile(r"[\x20-\x7e]{1,200}"),
    "error_description": re.compile(r"[\x20-\x7e]{1,1000}"),
}


def answer_in(query: str) -> dict[str, str]:
    """Return `state` with `code`, or with `error` and perhaps `error_description`.

    Raises InvalidRequest when the address does not hold exactly that; it never shows a value.
    """
    try:
        fields = parse_qs(query, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise _unusable() from None
    answer = {
        name: values[0]
        for name, values in fields.items()
        if name in _FORMS and len(values) == 1 and _FORMS[name].fullmatch(values[0])
    }
    wanted = {name for name in ("state", "code", "error") if name in fields}
    if not wanted <= answer.keys() or wanted not in ({"state", "code"}, {"state", "error"}):
        raise _unusable()
    return answer


def answer_in_address(address: str) -> dict[str, str]:
    """Return the same from a whole address that somebody copied. Raises InvalidRequest."""
    try:
        query = urlsplit(address.strip().strip("'\"<>")).query
    except ValueError:
        raise _unusable() from None
    return answer_in(query)


def _unusable() -> InvalidRequest:
    return InvalidRequest(
        "This address does not hold the answer of a sign-in. Copy the whole address that the "
        "browser shows after you agreed, from http to the end."
    )
