"""When the owner and others have time, as far as their calendars say."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from servers.google_calendar.agenda import check_window, selected
from servers.google_calendar.client import CalendarAccount
from servers.google_calendar.free_time import Interval, WorkingHours, free_intervals, read_hours
from servers.google_calendar.models import FreeSlot, FreeTime
from servers.google_calendar.times import read_moment, rfc3339
from servers.kit.errors import InvalidInput

MAX_WINDOW = timedelta(days=60)
MAX_SLOTS = 20
# Of one query, by the vendor's word.
MAX_LOOKED_AT = 50
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


async def free_time(
    calendar: CalendarAccount,
    zone: ZoneInfo,
    window: tuple[str, str],
    hours: tuple[str, Sequence[str]],
    *,
    participants: Sequence[str],
    calendar_ids: Sequence[str],
    least: timedelta,
    buffer: timedelta,
) -> FreeTime:
    """Stretches in which nobody is busy. Raises InvalidInput."""
    start, end = (read_moment(text, zone).astimezone(UTC) for text in window)
    check_window(start, end, MAX_WINDOW)
    begin, until = read_hours(hours[0])
    weekdays = frozenset(WEEKDAYS.index(day) for day in hours[1])
    own = list(calendar_ids) or await selected(calendar, role="owner")
    asked = list(dict.fromkeys([*own, *(one.strip().lower() for one in participants)]))
    if len(asked) > MAX_LOOKED_AT:
        raise InvalidInput(f"{len(asked)} calendars and people are too many: {MAX_LOOKED_AT}.")
    # Whatever ends within the buffer before the window keeps from its beginning.
    answer = await calendar.busy(asked, start - buffer, end + buffer)
    unknown = [one for one in asked if one not in answer or answer[one].get("errors")]
    busy = [
        _interval(span)
        for one in asked
        if one not in unknown
        for span in answer[one].get("busy", [])
    ]
    offered = WorkingHours(zone, begin, until, weekdays).within(Interval(start, end))
    found = list(free_intervals(offered, busy, least=least, buffer=buffer))
    return FreeTime(
        account=calendar.name,
        zone=zone.key,
        items=[_slot(one, zone) for one in found[:MAX_SLOTS]],
        looked_at=[one for one in asked if one not in unknown],
        unknown=unknown,
        truncated=len(found) > MAX_SLOTS,
    )


def _interval(span: Mapping[str, Any]) -> Interval:
    start, end = (datetime.fromisoformat(span[name]).astimezone(UTC) for name in ("start", "end"))
    return Interval(start, end)


def _slot(one: Interval, zone: ZoneInfo) -> FreeSlot:
    return FreeSlot(
        start=rfc3339(one.start.astimezone(zone)),
        end=rfc3339(one.end.astimezone(zone)),
        minutes=int((one.end - one.start).total_seconds() // 60),
    )
