"""Points in time as a model writes them, as the vendor does, and as a calendar shows them.

A point is a `date` (of an all-day event) or an aware `datetime` whose zone is a ZoneInfo.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from servers.kit.errors import InvalidInput

Point: TypeAlias = date | datetime

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(_DATE.pattern + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?")
# Far enough from the years 1 and 9999 that no arithmetic on a calendar leaves them.
_FIRST_YEAR, _LAST_YEAR = 1900, 2200


def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises InvalidInput; the message names similar ones."""
    if name in _zone_names():
        return ZoneInfo(name)
    close = get_close_matches(name, _zone_names(), n=3, cutoff=0.6)
    meant = f" Did you mean {', '.join(close)}?" if close else ""
    raise InvalidInput(
        f"{name[:60]!r} is not an IANA time zone.{meant} Write one such as Europe/Berlin."
    )


def read_point(text: str, zone: ZoneInfo, *, is_zone_given: bool) -> Point:
    """The point in `text`: `2026-11-20` or `2026-11-20T15:30`, with or without an offset.

    Without an offset it is a clock time in `zone`. With one, the offset has to be that of the zone
    if the caller named the zone (`is_zone_given`). Raises InvalidInput, too, for a clock time that
    the zone skips or shows twice.
    """
    plain = text.strip().upper()
    try:
        if _DATE.fullmatch(plain):
            return _in_range(date.fromisoformat(plain), text)
        if not _TIME.fullmatch(plain):
            raise ValueError("neither form")
        moment = datetime.fromisoformat(plain)
    except ValueError as error:
        raise InvalidInput(
            f"{text[:60]!r} is not a time: write 2026-11-20T15:30, or 2026-11-20 for whole days."
        ) from error
    _in_range(moment, text)
    if moment.tzinfo is None:
        return _only_one(moment, zone)
    there = moment.astimezone(zone)
    if is_zone_given and there.utcoffset() != moment.utcoffset():
        raise InvalidInput(
            f"{text!r} contradicts the zone {zone.key}, whose offset is {there:%:z} then. Leave out"
            f" the offset to mean that clock time in {zone.key}, or write {rfc3339(there)}."
        )
    return there


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """As `read_point`; a date is its midnight in `zone`. Raises InvalidInput."""
    point = read_point(text, zone, is_zone_given=False)
    return point if isinstance(point, datetime) else midnight(point, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins in `zone`; a minute or an hour later where midnight is skipped."""
    return settled(datetime(day.year, day.month, day.day, tzinfo=zone))


def settled(moment: datetime) -> datetime:
    """The same moment as clocks show it: a time that they skip is moved past the gap (PEP 495)."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo)


def moment_of(point: Point, zone: ZoneInfo) -> datetime:
    """When a point begins, in `zone`: whole days begin at midnight there."""
    return point.astimezone(zone) if isinstance(point, datetime) else midnight(point, zone)


def clock_of(point: Point) -> datetime:
    """Date and clock time without their zone; a whole day begins at 0:00."""
    if isinstance(point, datetime):
        return point.replace(tzinfo=None, fold=0)
    return datetime(point.year, point.month, point.day)  # noqa: DTZ001, a clock time has no zone


def at_clock(clock: datetime, like: Point) -> Point:
    """The point of a clock time, in the zone of `like`, or its day when `like` is a whole day."""
    if isinstance(like, datetime):
        return settled(clock.replace(tzinfo=like.tzinfo))
    return clock.date()


def moved(point: Point, by: timedelta) -> Point:
    """`by` later on the clock: a day later is the same clock time, whatever the clocks did."""
    return at_clock(clock_of(point) + by, point)


def rfc3339(point: Point) -> str:
    """E.g. `2026-11-20T15:30:00+01:00`, or `2026-11-20` for a whole day."""
    if isinstance(point, datetime):
        return point.isoformat(timespec="seconds")
    return point.isoformat()


def utc_text(moment: datetime) -> str:
    """E.g. `2026-11-20T14:30:00Z`, as the vendor wants limits of a search."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def zone_of(point: Point) -> str | None:
    """The IANA name of a point's zone; None for whole days."""
    if isinstance(point, datetime) and isinstance(point.tzinfo, ZoneInfo):
        return point.tzinfo.key
    return None


def vendor_time(point: Point) -> dict[str, Any]:
    """The vendor's `EventDateTime`; the other form is cleared, so that a patch can change form."""
    if isinstance(point, datetime):
        return {"dateTime": rfc3339(point), "timeZone": zone_of(point), "date": None}
    return {"date": rfc3339(point), "dateTime": None, "timeZone": None}


def point_in(when: Mapping[str, Any], fallback: ZoneInfo) -> Point:
    """The point in the vendor's `EventDateTime`, in its own zone.

    `fallback` is the zone of the calendar: for times without a zone and for zones nobody knows.
    """
    if when.get("date"):
        return date.fromisoformat(when["date"])
    name = when.get("timeZone")
    zone = ZoneInfo(name) if name in _zone_names() else fallback
    moment = datetime.fromisoformat(when["dateTime"])
    return (
        settled(moment.replace(tzinfo=zone)) if moment.tzinfo is None else moment.astimezone(zone)
    )


def _only_one(clock: datetime, zone: ZoneInfo) -> datetime:
    """Raises InvalidInput for a clock time that does not name one moment."""
    first, second = clock.replace(tzinfo=zone), clock.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    real = settled(first)
    if real.replace(tzinfo=None, fold=0) != clock:
        raise InvalidInput(
            f"{clock:%Y-%m-%d %H:%M} does not exist in {zone.key}: clocks go forward then. The"
            f" next time there is {rfc3339(real)}."
        )
    raise InvalidInput(
        f"{clock:%Y-%m-%d %H:%M} happens twice in {zone.key}: clocks go back then. Write"
        f" {rfc3339(first)} for the first or {rfc3339(second)} for the second."
    )


def _in_range(point: Point, text: str) -> Point:
    if not _FIRST_YEAR <= point.year <= _LAST_YEAR:
        raise InvalidInput(f"{text!r} is outside the years {_FIRST_YEAR} to {_LAST_YEAR}.")
    return point


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())
