"""Dates: "how many days until 2026-12-25", "what weekday is 1 May 2027"."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from orchestrator.practice.intents.calendar import DAY, iso_day
from orchestrator.practice.intents.wish import OneOf, Wish

_DIFFERENCE = OneOf(("diff", "difference", "days_between", "between"))
_WORKDAYS = OneOf(("workdays", "business_days", "working_days"))
_WEEKDAY = OneOf(("weekday", "day_of_week"))
_ADDITION = OneOf(("add", "plus", "add_days"))
_AGE = OneOf(("age",))

_Fields = Mapping[str, str]
_Reading = Callable[[_Fields, date], dict[str, Any]]


def find(text: str, today: date) -> list[Wish]:
    """Return every question about days."""
    wishes: list[Wish] = []
    for pattern, read in _PATTERNS:
        for match in pattern.finditer(text):
            values = read(match.groupdict(default=""), today)
            label = match[0].strip()
            wishes.append(Wish(match.start(), match.end(), "calculator__date_calc", label, values))
        text = pattern.sub(lambda match: "\n" * len(match[0]), text)
    return wishes


def _between(fields: _Fields, today: date) -> dict[str, Any]:
    is_work = fields["unit"].lower().startswith(("work", "business"))
    first, second = iso_day(fields["first"], today), iso_day(fields["second"], today)
    return {"operation": _WORKDAYS if is_work else _DIFFERENCE, "day": first, "end": second}


def _until(fields: _Fields, today: date) -> dict[str, Any]:
    is_work = fields["unit"].lower().startswith(("work", "business"))
    end = iso_day(fields["day"], today)
    return {
        "operation": _WORKDAYS if is_work else _DIFFERENCE,
        "day": today.isoformat(),
        "end": end,
    }


def _since(fields: _Fields, today: date) -> dict[str, Any]:
    text = fields["day"]
    # A day without a year lies in the past here: the last one, not the next one.
    day = iso_day(text, today)
    if day > today.isoformat() and not re.search(r"\d{4}", text):
        day = f"{int(day[:4]) - 1:04}{day[4:]}"
    return {"operation": _DIFFERENCE, "day": day, "end": today.isoformat()}


def _weekday(fields: _Fields, today: date) -> dict[str, Any]:
    return {"operation": _WEEKDAY, "day": iso_day(fields["day"], today)}


def _shifted(fields: _Fields, today: date) -> dict[str, Any]:
    sign = -1 if fields.get("way", "").lower() == "before" else 1
    day = iso_day(fields.get("day") or "today", today)
    unit = fields["unit"].lower().rstrip("s") + "s"
    return {"operation": _ADDITION, "day": day, unit: sign * int(fields["count"])}


def _age(fields: _Fields, today: date) -> dict[str, Any]:
    return {"operation": _AGE, "day": iso_day(fields["day"], today), "end": today.isoformat()}


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("DAY", DAY).replace(" ", r"\s+"), re.IGNORECASE)


_COUNTED = (
    r"(?<!\d\s)\b(?P<unit>work(?:ing )?days|workdays|business days|days|weeks|months|nights|sleeps)"
)
_PATTERNS: tuple[tuple[re.Pattern[str], _Reading], ...] = (
    (
        _pattern(
            r"(?:what|which|when)(?:'s)? (?:is |the |date |day |will |it |be )*"
            r"(?P<count>\d{1,5}) (?P<unit>days?|weeks?|months?|years?) "
            r"(?P<way>from|after|before) (?P<day>DAY)"
        ),
        _shifted,
    ),
    (
        _pattern(
            rf"(?:how many )?{_COUNTED} (?:are there |are |is it )?(?:between|from) "
            r"(?P<first>DAY) (?:and|to|until|till) (?P<second>DAY)"
        ),
        _between,
    ),
    (
        _pattern(
            rf"(?:how many )?{_COUNTED} (?:are |is |it |left |there |to go |remain )*"
            r"(?:until|till|to|before) (?P<day>DAY)"
        ),
        _until,
    ),
    (_pattern(r"how (?P<unit>long) (?:is |it |left )*(?:until|till|to) (?P<day>DAY)"), _until),
    (
        _pattern(
            r"how (?:many days|many weeks|long) (?:are |is |it |has |have |been |passed )*"
            r"since (?P<day>DAY)"
        ),
        _since,
    ),
    (
        _pattern(
            r"(?:what|which) (?:weekday|day of the week|day) "
            r"(?:is |was |will |does |did |it |be |on )*(?P<day>DAY)(?: be| fall)?(?: on)?"
        ),
        _weekday,
    ),
    (
        _pattern(
            r"(?:what|which) (?:is |the )*(?:date|day) (?:is |will |it |be )*"
            r"in (?P<count>\d{1,5}) (?P<unit>days?|weeks?|months?|years?)"
        ),
        _shifted,
    ),
    (_pattern(r"how old [^\n?]{1,60}?born (?:on |in )?(?P<day>DAY)"), _age),
)
