"""Days as people write them: "1 May 2027", "Christmas", "tomorrow"."""

import re
from datetime import date, timedelta

_MONTHS = [
    *("jan(?:uary)?", "feb(?:ruary)?", "mar(?:ch)?", "apr(?:il)?", "may", "june?", "july?"),
    *("aug(?:ust)?", "sep(?:t(?:ember)?)?", "oct(?:ober)?", "nov(?:ember)?", "dec(?:ember)?"),
]
_MONTH = "|".join(_MONTHS)
_FEASTS = {
    "christmas eve": (12, 24),
    "christmas": (12, 25),
    "new year's eve": (12, 31),
    "new year": (1, 1),
    "halloween": (10, 31),
    "valentine's day": (2, 14),
}
_FEAST = "|".join(name.replace("'", "['’]?") for name in _FEASTS)
_RELATIVE = {"today": 0, "now": 0, "tomorrow": 1, "yesterday": -1}

DAY = (
    r"\d{4}-\d{1,2}-\d{1,2}"
    rf"|(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?(?:\s+of)?\s+(?:{_MONTH})\b(?:,?\s+\d{{4}})?"
    rf"|(?:{_MONTH})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?"
    rf"|(?:{_FEAST})(?:['’]?s)?(?:\s+day)?(?:\s+\d{{4}})?|{'|'.join(_RELATIVE)}"
)
"""Matches one day; use without groups of its own, case-insensitive."""


def iso_day(text: str, today: date) -> str:
    """Return `YYYY-MM-DD` of a text that DAY matched, the next one when no year is named.

    The day may not exist (31 April): the tool that is asked says so better.
    """
    words = text.lower().replace("’", "'")
    if words in _RELATIVE:
        return (today + timedelta(days=_RELATIVE[words])).isoformat()
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", words):
        year, month, day = words.split("-")
        return f"{year}-{int(month):02}-{int(day):02}"
    month_and_day = _feast(words) or _named(words)
    year_match = re.search(r"\d{4}", words)
    is_past = month_and_day < (today.month, today.day)
    year = int(year_match[0]) if year_match else today.year + is_past
    return f"{year:04}-{month_and_day[0]:02}-{month_and_day[1]:02}"


def _feast(words: str) -> tuple[int, int] | None:
    plain = words.replace("'", "")
    return next(
        (day for name, day in _FEASTS.items() if plain.startswith(name.replace("'", ""))), None
    )


def _named(words: str) -> tuple[int, int]:
    month = next(
        number for number, name in enumerate(_MONTHS, 1) if re.search(rf"\b(?:{name})\b", words)
    )
    day = re.search(r"\d{1,2}(?!\d)", words)
    return month, int(day[0]) if day else 1
