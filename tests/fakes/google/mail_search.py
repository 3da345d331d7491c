"""What Gmail's search box understands, as far as Flotilla needs it.

Words match whole words, never parts of them. Dates are days in California, as the API reads them.
What is not understood is searched as words: Gmail refuses no query.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from tests.fakes.google import mime

if TYPE_CHECKING:
    from tests.fakes.google.mailbox import Mail, Mailbox

Test = Callable[["Mail"], bool]
_TOKENS = re.compile(r'[-+]?\w+:"[^"]*"|-?"[^"]*"|-?\w+:\(|-?[({]|[)}]|[^\s(){}]+')
_PLACES = {
    "inbox": "INBOX",
    "sent": "SENT",
    "draft": "DRAFT",
    "drafts": "DRAFT",
    "trash": "TRASH",
    "spam": "SPAM",
    "unread": "UNREAD",
    "starred": "STARRED",
    "important": "IMPORTANT",
}
_UNITS = {"d": "days", "m": "months", "y": "years"}
_CALIFORNIA = ZoneInfo("America/Los_Angeles")


def compiled(query: str, mailbox: "Mailbox") -> Test:
    """Return whether a mail matches, as a function of it."""
    return _Query(query, mailbox).all()


def names_hidden_places(query: str) -> bool:
    """Whether a query says itself that it looks into the trash or the spam."""
    return re.search(r"\b(?:in:(?:trash|spam|anywhere)|label:(?:trash|spam))\b", query) is not None


class _Query:
    def __init__(self, query: str, mailbox: "Mailbox") -> None:
        self._tokens = _TOKENS.findall(query)
        self._mailbox = mailbox

    def all(self, field: str = "", end: str = "") -> Test:
        """Return the tests up to `end`, every one of which must hold; OR binds closer."""
        tests: list[list[Test]] = []
        is_either = False
        while self._tokens:
            token = self._tokens.pop(0)
            if token == end:
                break
            if token in ("AND", ")", "}"):
                continue
            if token == "OR":
                is_either = bool(tests)
                continue
            test = self._one(token, field)
            if is_either:
                tests[-1].append(test)
            else:
                tests.append([test])
            is_either = False
        return lambda mail: all(any(one(mail) for one in either) for either in tests)

    def _any(self) -> Test:
        tests: list[Test] = []
        while self._tokens and (token := self._tokens.pop(0)) != "}":
            tests.append(self._one(token, ""))
        return lambda mail: any(one(mail) for one in tests)

    def _one(self, token: str, field: str) -> Test:
        if token.startswith("-") and len(token) > 1:
            test = self._one(token[1:], field)
            return lambda mail: not test(mail)
        if token == "{":
            return self._any()
        if token == "(":
            return self.all(field, ")")
        name, colon, value = token.partition(":")
        if colon and value == "(":
            return self.all(name.lower(), ")")
        if field:
            return self._term(field, token)
        return self._term(name.lower(), value) if colon and value else _has_words("", token)

    def _term(self, field: str, value: str) -> Test:
        value = value.strip('"')
        if field in ("from", "to", "cc", "bcc", "subject", "list", "filename"):
            return _has_words(field, value)
        if field in ("in", "is", "label", "category", "has"):
            return self._label_term(field, value.lower())
        if field == "rfc822msgid":
            return lambda mail: (
                mime.header(mail.message, "Message-ID").strip("<>") == value.strip("<>")
            )
        if field in ("larger", "smaller", "size"):
            return _size_term(field, value)
        return self._time_term(field, value) or _has_words("", f"{field}:{value}")

    def _label_term(self, field: str, value: str) -> Test:
        if field == "has":
            if value == "attachment":
                return lambda mail: bool(mime.filenames(mail.message))
            has_own = value == "userlabels"
            return lambda mail: any(name.startswith("Label_") for name in mail.labels) is has_own
        if value == "anywhere":
            return lambda _mail: True
        if value == "read":
            return lambda mail: "UNREAD" not in mail.labels
        label = self._mailbox.searched_label(
            f"category_{value}" if field == "category" else _PLACES.get(value, value)
        )
        return lambda mail: label in mail.labels

    def _time_term(self, field: str, value: str) -> Test | None:
        now = self._mailbox.now()
        if match := re.fullmatch(r"(\d+)([dmy])", value):
            bound = now - relativedelta(**{_UNITS[match[2]]: int(match[1])})  # type: ignore[arg-type]
            if field == "older_than":
                return lambda mail: mail.at < bound
            return (lambda mail: mail.at >= bound) if field == "newer_than" else None
        day = _day(value)
        if day is None or field not in ("after", "before", "older", "newer"):
            return None
        if field in ("after", "newer"):
            return lambda mail: mail.at >= day
        return lambda mail: mail.at < day


def _day(value: str) -> datetime | None:
    if re.fullmatch(r"\d{9,10}", value):
        return datetime.fromtimestamp(int(value), _CALIFORNIA)
    match = re.fullmatch(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})", value)
    if match is None:
        return None
    start = datetime(*(int(number) for number in match.groups()), tzinfo=_CALIFORNIA)
    return start + timedelta()


def _size_term(field: str, value: str) -> Test:
    match = re.fullmatch(r"(\d+)([kKmM]?)", value)
    if match is None:
        return lambda _mail: False
    size = int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2].lower()]
    if field == "smaller":
        return lambda mail: len(mail.raw) < size
    return lambda mail: len(mail.raw) > size


def _has_words(field: str, value: str) -> Test:
    wanted = _words(value)
    return lambda mail: not wanted or _contains(_words(_searched(field, mail)), wanted)


def _searched(field: str, mail: "Mail") -> str:
    message = mail.message
    if field == "filename":
        return " ".join(mime.filenames(message))
    if field == "list":
        return mime.header(message, "List-ID")
    if field:
        return mime.header(message, field)
    names = ("Subject", "From", "To", "Cc")
    return " ".join([*(mime.header(message, n) for n in names), mime.texts(message)])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _contains(words: list[str], wanted: list[str]) -> bool:
    size = len(wanted)
    return any(words[i : i + size] == wanted for i in range(len(words) - size + 1))
