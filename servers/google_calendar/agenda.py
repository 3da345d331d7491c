"""What is on: events of several calendars in one list, a page at a time, and by day."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from servers.google_calendar.client import CalendarAccount
from servers.google_calendar.events import BRIEF_DESCRIPTION_CHARS, summary_of, times_of
from servers.google_calendar.models import Agenda, Day, EventSummary
from servers.google_calendar.times import moment_of, read_moment, utc_text
from servers.kit.errors import InvalidInput, NotAllowed, NotFound, SignInRequired
from servers.kit.paging import decode_cursor, encode_cursor

MAX_WINDOW = timedelta(days=92)
MAX_CALENDARS = 50
MAX_LISTED = 100
# The ceiling of a result is 32,000 bytes; days and notes need some of it.
MAX_ITEMS_BYTES = 24_000
_MOST_DAYS_OF_ONE = 14
_ZONES_APART = timedelta(hours=26)

Key = tuple[str, str, str]


class Window(BaseModel):
    """Whose events are asked for; also the state of a cursor, with the last event told."""

    start: datetime
    end: datetime
    calendars: list[str]
    query: str | None
    zone: str
    after: Key = ("", "", "")
    notes: list[str] = []


async def new_window(
    calendar: CalendarAccount,
    zone: ZoneInfo,
    start: str,
    end: str | None,
    calendar_ids: Sequence[str],
    query: str | None,
) -> Window:
    """The window that a call asks for. Raises InvalidInput."""
    begin = read_moment(start, zone)
    until = begin + timedelta(days=1) if end is None else read_moment(end, zone)
    check_window(begin, until, MAX_WINDOW)
    notes: list[str] = []
    asked = list(dict.fromkeys(calendar_ids)) or await selected(calendar, left_out=notes)
    return Window(start=begin, end=until, calendars=asked, query=query, zone=zone.key, notes=notes)


def continued(cursor: str) -> Window:
    """The window of a cursor. Raises InvalidInput."""
    window = decode_cursor(cursor, Window)
    if window.start.tzinfo is None or window.end.tzinfo is None:
        raise InvalidInput("cursor is not one this tool gave.")
    return window


def check_window(start: datetime, end: datetime, most: timedelta) -> None:
    """Raises InvalidInput for a window that is empty or longer than `most`."""
    if end <= start:
        raise InvalidInput("end is not after start; it is not included: for one day, the next.")
    if end - start > most:
        raise InvalidInput(f"From start to end are more than {most.days} days: ask for less.")


async def selected(
    calendar: CalendarAccount, *, role: str | None = None, left_out: list[str] | None = None
) -> list[str]:
    """The calendars the owner has on display, the primary one among them; only of a role.

    What is on display and not among them is told in `left_out`.
    """
    shown = [
        one
        for one in await calendar.calendars()
        if (one.get("selected") or one.get("primary")) and role in (None, one.get("accessRole"))
    ]
    shown.sort(key=lambda one: not one.get("primary"))
    readable = [one["id"] for one in shown if one.get("accessRole") != "freeBusyReader"]
    if left_out is not None and len(readable) < len(shown):
        left_out.append(
            f"Of {len(shown) - len(readable)} calendars on display only busy times are shared, so"
            " their events are not here: see free_time."
        )
    if left_out is not None and len(readable) > MAX_CALENDARS:
        more = len(readable) - MAX_CALENDARS
        left_out.append(f"{more} more calendars are on display: name them in calendar_ids.")
    return readable[:MAX_CALENDARS]


async def agenda(
    calendar: CalendarAccount, window: Window, limit: int, detail: Literal["brief", "full"]
) -> Agenda:
    """One page of a window. Raises what a calendar raises that was the only one asked for."""
    zone = ZoneInfo(window.zone)
    notes = list(window.notes)
    found: list[tuple[Key, str, dict[str, Any]]] = []
    for events in await _all(calendar, window, limit + 1, zone, notes):
        found += events
    found.sort(key=lambda one: one[0])
    chars = BRIEF_DESCRIPTION_CHARS if detail == "full" else 0
    items: list[EventSummary] = []
    size = 0
    for _, calendar_id, event in found[:limit]:
        item = summary_of(event, calendar_id, zone, description_chars=chars)
        size += len(item.model_dump_json().encode())
        if items and size > MAX_ITEMS_BYTES:
            break
        items.append(item)
    more = len(found) > len(items)
    last = found[len(items) - 1][0] if items else window.after
    return Agenda(
        account=calendar.name,
        zone=zone.key,
        items=items,
        by_day=by_day(items, window, zone),
        notes=notes,
        next_cursor=encode_cursor(window.model_copy(update={"after": last})) if more else None,
        truncated=more,
    )


def by_day(items: Sequence[EventSummary], window: Window, zone: ZoneInfo) -> list[Day]:
    """The days on which something is, with the positions of their events in `items`."""
    first = window.start.astimezone(zone).date()
    last = (window.end - timedelta(seconds=1)).astimezone(zone).date()
    days: dict[date, list[int]] = {}
    for position, item in enumerate(items):
        day, until = _days_of(item)
        day, until = max(day, first), min(until, last)
        for _ in range(_MOST_DAYS_OF_ONE):
            if day > until:
                break
            days.setdefault(day, []).append(position)
            day += timedelta(days=1)
    return [
        Day(date=day.isoformat(), weekday=f"{day:%A}", events=found)
        for day, found in sorted(days.items())
    ]


def _days_of(item: EventSummary) -> tuple[date, date]:
    """The first and the last day of an event."""
    if item.all_day:
        return date.fromisoformat(item.start), date.fromisoformat(item.end) - timedelta(days=1)
    start, end = datetime.fromisoformat(item.start), datetime.fromisoformat(item.end)
    # One that ends at midnight is not on the day that begins then.
    return start.date(), max(start, end - timedelta(seconds=1)).date()


async def _all(
    calendar: CalendarAccount, window: Window, enough: int, zone: ZoneInfo, notes: list[str]
) -> list[list[tuple[Key, str, dict[str, Any]]]]:
    async def read(calendar_id: str) -> list[tuple[Key, str, dict[str, Any]]]:
        try:
            return await _first(calendar, window, calendar_id, enough, zone)
        except SignInRequired:
            raise
        except (NotFound, NotAllowed) as error:
            if len(window.calendars) == 1:
                raise
            notes.append(f"The calendar {calendar_id} could not be read: {error}")
            return []

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(one)) for one in window.calendars]
    except ExceptionGroup as error:
        raise error.exceptions[0] from error
    return [task.result() for task in tasks]


def _is_within(event: dict[str, Any], start: datetime, window: Window, zone: ZoneInfo) -> bool:
    """Whether whole days are in the window here; the vendor reckons in the calendar's own zone."""
    end = times_of(event, zone)[1]
    is_timed = isinstance(end, datetime)
    return is_timed or (start < window.end and moment_of(end, zone) > window.start)


async def _first(
    calendar: CalendarAccount, window: Window, calendar_id: str, enough: int, zone: ZoneInfo
) -> list[tuple[Key, str, dict[str, Any]]]:
    """The first events of one calendar that come after the last one told."""
    found: list[tuple[Key, str, dict[str, Any]]] = []
    low = window.start
    if window.after[0]:
        # A second earlier: what takes no time ends where it starts, and would not be given.
        low = max(low, datetime.fromisoformat(window.after[0]) - timedelta(seconds=1))
    enough_until: datetime | None = None
    events = calendar.events(
        calendar_id, low, window.end, query=window.query, page_size=max(enough, 50)
    )
    async with aclosing(events):
        async for event in events:
            start = moment_of(times_of(event, zone)[0], zone)
            if enough_until is not None and start > enough_until:
                break
            key = (utc_text(start), calendar_id, event["id"])
            if key > window.after and _is_within(event, start, window, zone):
                found.append((key, calendar_id, event))
            if enough_until is None and len(found) >= enough:
                # The vendor orders whole days by another midnight than that of `zone`.
                enough_until = start + _ZONES_APART
    return found
