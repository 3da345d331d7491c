"""Series that are split or end early: two writes that leave no half series behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from servers.google_calendar.booking import event_id_of
from servers.google_calendar.changes import Changes, planned_times, series_body
from servers.google_calendar.client import CalendarAccount, Notify, Resource, is_as
from servers.google_calendar.events import Event, times_of
from servers.google_calendar.recurrence import Recurrence, checked, read_recurrence
from servers.google_calendar.times import Point, clock_of, moment_of, point_in, rfc3339, vendor_time
from servers.kit.errors import Conflict, InvalidInput, NotFound, SignInRequired, UpstreamError
from servers.kit.google.errors import OutcomeUnknown

# What a series passes on to the one that goes on from it.
_INHERITED = (
    *("summary", "description", "location", "attendees", "colorId", "transparency", "visibility"),
    *("reminders", "guestsCanInviteOthers", "guestsCanModify", "guestsCanSeeOtherGuests"),
    *("extendedProperties", "source", "conferenceData"),
)
_ITS_OWN = ("summary", "description", "location")
# An occurrence may have been moved away from where the series was split.
_MOVED_BY = timedelta(days=31)
_MAX_TOLD = 10
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Split:
    """A series in two."""

    at: Point
    """When the first of its occurrences was planned that are in the new one."""
    old_lines: list[str]
    """What the old one recurs by from then on."""
    body: Resource
    """The new one, without an id."""
    notes: list[str]


def ended_before(series: Event, occurrence: Event, zone: ZoneInfo) -> list[str] | None:
    """What a series recurs by when it ends before an occurrence; None when nothing is left of it.

    Raises InvalidInput.
    """
    start, _ = times_of(series, zone)
    split, _ = planned_times(series, occurrence, zone)
    old = read_recurrence(series["recurrence"], start).before(split)
    return old.lines() if next(old.occurrences(clock_of(split)), None) is not None else None


def split_of(
    series: Event, occurrence: Event, later: Sequence[Event], changes: Changes, zone: ZoneInfo
) -> Split | None:
    """How a series is split at an occurrence; None when all of it lies after the split.

    `later` are its occurrences from then on, deleted ones too. Raises InvalidInput.
    """
    if not series.get("organizer", {}).get("self"):
        raise InvalidInput("Only the organizer can split this series: change it with scope this.")
    if series.get("eventType", "default") != "default":
        raise InvalidInput(f"A series of the kind {series['eventType']!r} cannot be split.")
    old_lines = ended_before(series, occurrence, zone)
    if old_lines is None:
        return None
    split, end = planned_times(series, occurrence, zone)
    whole = read_recurrence(series["recurrence"], times_of(series, zone)[0])
    tail = whole.since(split).without(_deleted(later, split, zone))
    base: dict[str, Any] = {name: series[name] for name in _INHERITED if name in series}
    base |= {"start": vendor_time(split), "end": vendor_time(end), "recurrence": tail.lines()}
    patch, notes = series_body(base, base, changes, zone)
    body = {**base, **patch}
    _check_tail(tail, body)
    if lost := _exceptional(series, later, split, zone):
        notes.append(_lost_note("are as the series now", lost))
    return Split(split, old_lines, body, notes)


async def body_of_all(
    calendar: CalendarAccount,
    calendar_id: str,
    series: Event,
    occurrence: Event,
    changes: Changes,
) -> tuple[Resource, list[str]]:
    """The patch of a whole series, and what is lost by it. Raises InvalidInput.

    Occurrences that were deleted singly are known to the vendor by their old times: EXDATE keeps
    them deleted at the new ones.
    """
    zone = await calendar.zone()
    if not changes.moves_occurrences:
        return series_body(series, occurrence, changes, zone)
    start, _ = times_of(series, zone)
    found = await later_occurrences(calendar, calendar_id, series, series)
    whole = read_recurrence(series["recurrence"], start).without(_deleted(found, start, zone))
    kept = {**series, "recurrence": whole.lines()}
    body, notes = series_body(kept, occurrence, changes, zone)
    if lost := _exceptional(series, found, start, zone):
        notes.append(_lost_note("may have lost them", lost))
    return body, notes


async def later_occurrences(
    calendar: CalendarAccount, calendar_id: str, series: Event, occurrence: Event
) -> list[Resource]:
    """The occurrences of a series from one on, deleted ones too."""
    zone = await calendar.zone()
    split = moment_of(planned_times(series, occurrence, zone)[0], zone)
    found = await calendar.instances(calendar_id, series["id"], split.astimezone(UTC) - _MOVED_BY)
    return [one for one in found if moment_of(_original(one, zone), zone) >= split]


async def carry_out(
    calendar: CalendarAccount, calendar_id: str, series: Resource, split: Split, notify: Notify
) -> Resource:
    """Splits a series: the new one, after the old one was ended.

    The new one comes first: when this is cut off between the two, nothing is missing from the
    calendar, and the same call again finds it by its id and ends the old one. When the old one
    cannot be ended, the new one is deleted again. Raises the UpstreamErrors, which say what is in
    the calendar then.
    """
    new = await _inserted(calendar, calendar_id, series, split.body, notify)
    try:
        await calendar.patch(calendar_id, series, {"recurrence": split.old_lines}, notify=notify)
    except SignInRequired:
        # The same call goes on after the sign-in.
        raise
    except UpstreamError as error:
        if await _goes_on(calendar, calendar_id, series, new, split.at, error):
            await _taken_back(calendar, calendar_id, series, new, notify, error)
            raise
    return new


async def _goes_on(
    calendar: CalendarAccount,
    calendar_id: str,
    series: Event,
    new: Resource,
    at: Point,
    reason: UpstreamError,
) -> bool:
    """Whether the old series still happens after the split, so that the new one is one too many.

    It may have been ended all the same: the answer was lost, or the same call was made twice at
    once. To delete the new one would leave nothing then.
    """
    try:
        now = await calendar.event(calendar_id, series["id"])
        start, _ = times_of(now, await calendar.zone())
        left = read_recurrence(now.get("recurrence", []), start).occurrences()
        return any(clock_of(one) >= clock_of(at) for one in left)
    except NotFound:
        return True
    except UpstreamError as error:
        raise _half_done(series, new, reason) from error


async def _inserted(
    calendar: CalendarAccount, calendar_id: str, series: Resource, body: Resource, notify: Notify
) -> Resource:
    for attempt in range(_ATTEMPTS):
        # It follows from the version of the old series: as long as that is not ended, the new one
        # has the same id.
        new_id = event_id_of(calendar.name, calendar_id, series["id"], series["etag"], str(attempt))
        try:
            new = await calendar.insert(calendar_id, {**body, "id": new_id}, notify=notify)
        except Conflict:
            # Taken back before, when the old series could not be ended.
            continue
        if is_as(new, body):
            return new
        # Of an earlier call that was cut off, with other changes.
        return await calendar.patch(calendar_id, new, body, notify=notify)
    raise Conflict("This split was made and taken back several times: look at the series again.")


async def _taken_back(
    calendar: CalendarAccount,
    calendar_id: str,
    series: Event,
    new: Resource,
    notify: Notify,
    reason: UpstreamError,
) -> None:
    try:
        await calendar.delete(calendar_id, new, notify=notify)
    except (UpstreamError, OutcomeUnknown) as error:
        raise _half_done(series, new, reason) from error


def _half_done(series: Event, new: Event, reason: UpstreamError) -> Conflict:
    return Conflict(
        f"Half of it was done: the new series {new['id']} is in the calendar, and the old one"
        f" ({series['id']}) was perhaps not ended ({reason}); then both are there from"
        f" {new['start'].get('dateTime') or new['start'].get('date')} on. Make the same call"
        " again if the old one goes on (see get_event), which ends it."
    )


def _deleted(later: Sequence[Event], split: Point, zone: ZoneInfo) -> list[Point]:
    """The occurrences that were deleted singly, on the clock of the series."""
    found = [_original(one, zone) for one in later if one.get("status") == "cancelled"]
    return [_on_clock_of(split, point) for point in found]


def _exceptional(series: Event, later: Sequence[Event], split: Point, zone: ZoneInfo) -> list[str]:
    """When the occurrences were planned that differ from their series."""
    return [
        rfc3339(_on_clock_of(split, _original(one, zone)))
        for one in later
        if one.get("status") != "cancelled"
        and (
            point_in(one["start"], zone) != _original(one, zone)
            or any(one.get(name) != series.get(name) for name in _ITS_OWN)
        )
    ]


def _lost_note(what: str, lost: Sequence[str]) -> str:
    more = ", ..." if len(lost) > _MAX_TOLD else ""
    told = ", ".join(lost[:_MAX_TOLD])
    return f"Occurrences that had changes of their own {what}: {told}{more}."


def _check_tail(tail: Recurrence, body: Event) -> None:
    if body.get("recurrence") == tail.lines():
        checked(tail)


def _original(one: Event, zone: ZoneInfo) -> Point:
    return point_in(one["originalStartTime"], zone)


def _on_clock_of(split: Point, point: Point) -> Point:
    if isinstance(split, datetime) and isinstance(point, datetime):
        return point.astimezone(split.tzinfo)
    return point
