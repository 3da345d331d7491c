"""New events: what they are to be, what else is on then, and one event for one call."""

import hashlib
from base64 import b32hexencode
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from servers.google_calendar.agenda import selected
from servers.google_calendar.client import CalendarAccount, Resource
from servers.google_calendar.events import elapsed, is_taken, summary_of, times_of, title_of
from servers.google_calendar.models import Clash, Created
from servers.google_calendar.recurrence import checked, read_recurrence
from servers.google_calendar.times import (
    Point,
    moment_of,
    read_point,
    rfc3339,
    vendor_time,
    zone_named,
)
from servers.kit.errors import Conflict, InvalidInput

DEFAULT_LENGTH = timedelta(hours=1)
MAX_CLASHES = 10
NEAR = timedelta(minutes=15)
# How far ahead the occurrences of a series are compared with what is on.
_LOOK_AHEAD = timedelta(days=31)
_MAX_LOOKED_AT = 500

OnConflict = Literal["warn", "block", "ignore"]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Booking:
    """An event that is to be made."""

    title: str
    start: Point
    end: Point
    recurrence: tuple[str, ...]
    """Lines as they are sent: UNTIL in UTC, checked to yield occurrences."""
    spans: tuple[Span, ...]
    """When it happens in the first month, in UTC."""


def new_booking(
    title: str,
    times: tuple[str, str | None],
    zones: tuple[str | None, str | None],
    owner_zone: ZoneInfo,
    recurrence: Sequence[str],
) -> Booking:
    """The event that a call describes. Raises InvalidInput for what no calendar can hold."""
    zone = zone_named(zones[0]) if zones[0] else owner_zone
    start = read_point(times[0], zone, is_zone_given=zones[0] is not None)
    if recurrence and isinstance(start, datetime) and zones[0] is None and _has_offset(times[0]):
        raise InvalidInput(
            "A recurring event needs its IANA zone: an offset does not say when clocks change. Pass"
            " zone, e.g. Europe/Berlin."
        )
    end = end_of(start, times[1], zone_named(zones[1]) if zones[1] else zone, bool(zones[0]))
    lines: list[str] = []
    spans = [(start, end)]
    if recurrence:
        series = checked(read_recurrence(recurrence, start))
        lines = series.lines()
        length = elapsed(start, end)
        until = moment_of(start, zone).replace(tzinfo=None) + _LOOK_AHEAD
        spans = [(one, later(one, length)) for one in series.occurrences(until)]
    return Booking(title, start, end, tuple(lines), tuple(_span(*one, zone) for one in spans))


def end_of(start: Point, text: str | None, zone: ZoneInfo, is_zone_given: bool = False) -> Point:
    """When an event ends; without a text after an hour, or on the same day. Raises InvalidInput."""
    if text is None:
        return later(start, DEFAULT_LENGTH if isinstance(start, datetime) else timedelta(days=1))
    end = read_point(text, zone, is_zone_given=is_zone_given)
    check_times(start, end)
    return end


def check_times(start: Point, end: Point) -> None:
    """Raises InvalidInput unless an event can be from `start` to `end`."""
    if isinstance(start, datetime) != isinstance(end, datetime):
        raise InvalidInput("start and end are both dates (whole days), or both have a clock time.")
    if elapsed(start, end) > timedelta():
        return
    if isinstance(start, datetime):
        raise InvalidInput(f"end ({rfc3339(end)}) is not after start ({rfc3339(start)}).")
    raise InvalidInput(
        "end of whole days is the day after the last: for the one day leave it out, or write"
        f" {rfc3339(start + timedelta(days=1))}."
    )


async def create(
    calendar: CalendarAccount,
    calendar_id: str,
    booking: Booking,
    fields: Resource,
    call_id: str,
    on_conflict: OnConflict,
) -> Created:
    """Makes the event, once for one call id. Raises Conflict when asked to where others are on."""
    zone = await calendar.zone()
    event_id = event_id_of(calendar.name, calendar_id, call_id)
    clashes: list[Clash] = []
    if on_conflict != "ignore":
        found = await clashes_of(calendar, calendar_id, booking, zone)
        # The call may have made its event already, before it had to wait for a sign-in.
        clashes = [one for one in found if one.event_id != event_id]
    if on_conflict == "block" and clashes:
        told = ", ".join(f"{one.event_id} ({one.kind}, {one.start})" for one in clashes)
        raise Conflict(f"Nothing was made: other events are on then: {told}.")
    body: Resource = {
        "id": event_id,
        "summary": booking.title,
        "start": vendor_time(booking.start),
        "end": vendor_time(booking.end),
        "recurrence": list(booking.recurrence) or None,
        **fields,
    }
    event = await calendar.insert(calendar_id, body)
    summary = summary_of(event, calendar_id, zone)
    return Created(
        account=calendar.name,
        calendar_id=calendar_id,
        event_id=summary.event_id,
        etag=summary.etag,
        event=summary,
        clashes=clashes,
        notes=[],
    )


async def clashes_of(
    calendar: CalendarAccount, calendar_id: str, booking: Booking, zone: ZoneInfo
) -> list[Clash]:
    """Events of the owner at the same time, or that seem to be the same; the first ten."""
    own = await selected(calendar, role="owner")
    looked_at = own if calendar_id in ("primary", *own) else [*own, calendar_id]
    start = min(span[0] for span in booking.spans) - NEAR
    end = max(span[1] for span in booking.spans) + NEAR
    found: list[Clash] = []
    for one in looked_at:
        count = 0
        events = calendar.events(one, start, end)
        async with aclosing(events):
            async for event in events:
                count += 1
                kind = _clash_with(booking, event, zone)
                if kind is not None:
                    found.append(_clash(event, one, kind, zone))
                if count >= _MAX_LOOKED_AT or len(found) >= MAX_CLASHES:
                    break
    return sorted(found, key=lambda clash: clash.start)[:MAX_CLASHES]


def event_id_of(*parts: str) -> str:
    """An id as the vendor takes it (base32hex) that follows from `parts`."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return b32hexencode(digest[:20]).decode().lower()


def _clash_with(
    booking: Booking, event: dict[str, Any], zone: ZoneInfo
) -> Literal["conflict", "duplicate"] | None:
    start, end = _span(*times_of(event, zone), zone)
    same_title = _plain(title_of(event)) == _plain(booking.title)
    if same_title and any(abs(start - span[0]) <= NEAR for span in booking.spans):
        return "duplicate"
    overlaps = any(start < span[1] and end > span[0] for span in booking.spans)
    return "conflict" if overlaps and is_taken(event) else None


def _clash(
    event: dict[str, Any], calendar_id: str, kind: Literal["conflict", "duplicate"], zone: ZoneInfo
) -> Clash:
    summary = summary_of(event, calendar_id, zone)
    return Clash(
        kind=kind,
        event_id=summary.event_id,
        calendar_id=calendar_id,
        untrusted_title=summary.untrusted_title,
        start=summary.start,
        end=summary.end,
    )


def later(start: Point, by: timedelta) -> Point:
    """`by` later in the world, on the clock of the same zone."""
    if isinstance(start, datetime):
        return (start.astimezone(UTC) + by).astimezone(start.tzinfo)
    return date(start.year, start.month, start.day) + by


def _span(start: Point, end: Point, zone: ZoneInfo) -> Span:
    return moment_of(start, zone).astimezone(UTC), moment_of(end, zone).astimezone(UTC)


def _has_offset(text: str) -> bool:
    return text.strip().upper().endswith("Z") or "+" in text or text.count("-") > 2


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())
