"""Single lines of RFC 5545: rules as their parts, and the clock times that other lines name."""

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from dateutil.rrule import rrule, rrulestr

from servers.google_calendar.times import Point, clock_of, settled, zone_named
from servers.kit.errors import InvalidInput

Parts = tuple[tuple[str, str], ...]
"""The parts of an RRULE without UNTIL, in their order."""

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
# Without BYHOUR and what is below it: those name more than one time of a day, which the vendor
# does not show, and thousands of them.
_KNOWN = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH"} | {
    "BYYEARDAY",
    "BYWEEKNO",
    "BYSETPOS",
}
_CYCLE = timedelta(days=146_097)
"""400 years of the Gregorian calendar: whole weeks, and the leap years are the same again."""
_STAMP = re.compile(r"([0-9]{8})(T[0-9]{6}(Z)?)?")


def read_rule(text: str, start: Point) -> tuple[Parts, datetime | None]:
    """The parts of a rule, and its last clock time in the zone of the event.

    Raises InvalidInput for what is no rule, or means more than calendars do.
    """
    pairs = [part.partition("=") for part in text.upper().strip("; ").split(";")]
    parts = {name.strip(): value.strip() for name, _, value in pairs}
    if len(parts) != len(pairs) or not all(parts.values()):
        raise InvalidInput(f"{text[:80]!r} is not a recurrence rule: write FREQ=WEEKLY;BYDAY=MO.")
    if odd := sorted(set(parts) - _KNOWN):
        raise InvalidInput(f"A recurrence rule of a calendar cannot have {odd[0][:20]!r}.")
    if parts.get("FREQ") not in _FREQUENCIES:
        raise InvalidInput(f"FREQ of a recurrence rule is one of {', '.join(_FREQUENCIES)}.")
    if "UNTIL" in parts and "COUNT" in parts:
        raise InvalidInput("A recurrence rule ends by UNTIL or by COUNT, not by both.")
    until = _read_until(parts.pop("UNTIL"), start) if "UNTIL" in parts else None
    found = tuple(parts.items())
    try:
        next(clocks_until(found, clock_of(start), clock_of(start)), None)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        # dateutil checks little itself: what it trips over depends on the part.
        raise InvalidInput(f"{text[:80]!r} is not a recurrence rule that can be read.") from error
    return found, until


def clocks_until(parts: Parts, start: datetime, last: datetime) -> Iterator[datetime]:
    """The clock times of a rule from `start` to `last`, in order.

    Raises ValueError, with the first of them, for parts that are no rule.
    """
    rest = dict(parts)
    count = int(rest.pop("COUNT")) if "COUNT" in rest else None
    if (count is not None and count < 1) or int(rest.get("INTERVAL", 1)) < 1:
        raise ValueError("it counts nothing")
    # A rule that yields nothing more, dateutil searches up to the year 9999: that took 7 s of a
    # rule for 30 February. The calendar repeats every 400 years, so it is asked about the last.
    later = _CYCLE * ((9999 - start.year) // 400)
    text = ";".join(f"{name}={value}" for name, value in rest.items())
    rule = rrulestr(text, dtstart=start + later)
    if not isinstance(rule, rrule):
        raise ValueError("it is several rules")
    # dateutil refuses COUNT and UNTIL at once.
    for clock in itertools.islice(rule.replace(until=last + later), count):
        yield clock - later


def counted_down(parts: Parts, gone: int) -> Parts | None:
    """The parts with COUNT less those that are gone; None when none is left."""
    count = dict(parts).get("COUNT")
    if count is None:
        return parts
    left = int(count) - gone
    return tuple((n, str(left) if n == "COUNT" else v) for n, v in parts) if left > 0 else None


def on_other_days(parts: Parts, days: int) -> Parts:
    """A weekly rule with its weekdays moved along; any other as it is."""
    if dict(parts).get("FREQ") != "WEEKLY" or days % 7 == 0:
        return parts

    def later(value: str) -> str:
        return ",".join(
            _WEEKDAYS[(_WEEKDAYS.index(day) + days) % 7] if day in _WEEKDAYS else day
            for day in value.split(",")
        )

    # The week moves too: of every second one, Sunday and the Monday after it are in the same.
    is_every = dict(parts).get("INTERVAL", "1") == "1"
    week = () if is_every or "WKST" in dict(parts) else (("WKST", "MO"),)
    names = ("BYDAY", "WKST")
    return tuple((n, later(v) if n in names else v) for n, v in (*parts, *week))


def until_text(until: datetime, start: Point) -> str:
    """UNTIL as the vendor wants it: in UTC, or a date for whole days."""
    if not isinstance(start, datetime):
        return f"{until:%Y%m%d}"
    # Of two moments with this clock time the later is meant: what was before it stays before it.
    moment = settled(until.replace(tzinfo=start.tzinfo, fold=1))
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def read_dates(parameters: str, text: str, start: Point) -> Iterator[datetime]:
    """The clock times of an RDATE or EXDATE line. Raises InvalidInput."""
    if "PERIOD" in parameters.upper():
        raise InvalidInput("RDATE with periods is not for calendars: make events of their own.")
    named = re.search(r"TZID=([^;:]+)", parameters, re.IGNORECASE)
    zone = zone_named(named[1].strip('"')) if named else _tzinfo(start)
    for stamp in text.upper().split(","):
        clock, is_day = _clock_in(stamp.strip(), zone)
        if not isinstance(start, datetime):
            yield datetime(clock.year, clock.month, clock.day)  # noqa: DTZ001, a clock time
        elif is_day:
            yield datetime.combine(clock.date(), start.time())
        elif zone is start.tzinfo:
            yield clock
        else:
            yield clock_of(settled(clock.replace(tzinfo=zone)).astimezone(start.tzinfo))


def _read_until(text: str, start: Point) -> datetime:
    """The last clock time in the zone of the event; a date is meant to the end of that day."""
    clock, is_day = _clock_in(text, _tzinfo(start))
    if not isinstance(start, datetime):
        return datetime(clock.year, clock.month, clock.day)  # noqa: DTZ001, a clock time
    return clock + timedelta(days=1, seconds=-1) if is_day else clock


def _clock_in(text: str, zone: tzinfo | None) -> tuple[datetime, bool]:
    """The clock time of a stamp, in `zone` when it is in UTC, and whether it is a whole day."""
    match = _STAMP.fullmatch(text)
    try:
        if match is None:
            raise ValueError("another form")
        if match[3] is None:
            form = "%Y%m%dT%H%M%S" if match[2] else "%Y%m%d"
            return datetime.strptime(text, form), match[2] is None  # noqa: DTZ007, a clock time
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput(
            f"{text[:40]!r} in recurrence is not a time: write 20261231T235959Z or 20261231."
        ) from error
    return clock_of(moment.astimezone(zone or UTC)), False


def _tzinfo(start: Point) -> tzinfo | None:
    return start.tzinfo if isinstance(start, datetime) else None
