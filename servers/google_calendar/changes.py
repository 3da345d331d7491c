"""What a call wants changed in an event, and the fields that this means for one or for a series."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from servers.google_calendar.booking import DEFAULT_LENGTH, check_times, later
from servers.google_calendar.client import Resource
from servers.google_calendar.events import Event, elapsed, times_of
from servers.google_calendar.recurrence import Recurrence, checked, read_recurrence
from servers.google_calendar.times import (
    Point,
    at_clock,
    clock_of,
    point_in,
    read_point,
    rfc3339,
    vendor_time,
    zone_named,
    zone_of,
)
from servers.kit.errors import InvalidInput

Times = tuple[Point, Point]
MAX_TITLE = 1_000
MAX_LOCATION = 1_000
MAX_DESCRIPTION = 8_000
_TEXTS = (
    ("title", "summary", MAX_TITLE),
    ("location", "location", MAX_LOCATION),
    ("description", "description", MAX_DESCRIPTION),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """The arguments of a tool that changes an event; None leaves a field as it is."""

    title: str | None = None
    start: str | None = None
    end: str | None = None
    zone: str | None = None
    location: str | None = None
    description: str | None = None
    recurrence: Sequence[str] | None = None
    reminders_min: Sequence[int] | None = None
    is_busy: bool | None = None

    def __post_init__(self) -> None:
        if self.zone is not None and self.start is None:
            raise InvalidInput("zone says how start is meant: pass start with it.")

    @property
    def is_empty(self) -> bool:
        return all(value is None for value in astuple(self))

    @property
    def moves_occurrences(self) -> bool:
        return any(value is not None for value in (self.start, self.end, self.recurrence))

    def fields(self) -> Resource:
        """What is the same for one event and for a series; an empty text clears a field."""
        found: Resource = plain_fields(
            self.location, self.description, self.reminders_min, self.is_busy
        )
        return found if self.title is None else {"summary": self.title or None, **found}

    def times(self, start: Point, end: Point, zone: ZoneInfo) -> Times | None:
        """The new start and end of an event that had these; None when they stay.

        Raises InvalidInput.
        """
        if self.start is None and self.end is None:
            return None
        new_start = start if self.start is None else self._read(self.start, start, zone)
        if self.end is not None:
            new_end = self._read(self.end, end, zone)
        else:
            if isinstance(start, datetime) and not isinstance(new_start, datetime):
                raise InvalidInput(
                    f"start is a day, and the event begins at {start:%H:%M}: write {self.start}"
                    f"T{start.astimezone(zone):%H:%M}, or pass end too to make it whole days."
                )
            new_end = _end_after(new_start, start, end, keeps_zone=self.zone is None)
        check_times(new_start, new_end)
        return new_start, new_end

    def _read(self, text: str, old: Point, zone: ZoneInfo) -> Point:
        """As it is meant: in the zone that was named, else the owner's, as the tools show it."""
        if self.zone is not None:
            return read_point(text, zone_named(self.zone), is_zone_given=True)
        return _like(read_point(text, zone, is_zone_given=False), old)


def plain_fields(
    location: str | None,
    description: str | None,
    reminders_min: Sequence[int] | None,
    is_busy: bool | None,
) -> Resource:
    """Fields that need no thought, as the vendor has them; those that are None are left out."""
    found: Resource = {}
    if location is not None:
        found["location"] = location or None
    if description is not None:
        found["description"] = description or None
    if reminders_min is not None:
        overrides = [{"method": "popup", "minutes": one} for one in reminders_min]
        found["reminders"] = {"useDefault": False, "overrides": overrides}
    if is_busy is not None:
        found["transparency"] = "opaque" if is_busy else "transparent"
    return found


def single_body(event: Event, changes: Changes, zone: ZoneInfo) -> Resource:
    """The patch of a single event or of one occurrence. Raises InvalidInput."""
    start, end = times_of(event, zone)
    body = changes.fields()
    times = changes.times(start, end, zone)
    if times is not None:
        start, end = times
        body |= {"start": vendor_time(start), "end": vendor_time(end)}
    if changes.recurrence is not None:
        if "recurringEventId" in event:
            raise InvalidInput("recurrence is of the whole series: pass scope following or all.")
        if changes.recurrence:
            body["recurrence"] = checked(read_recurrence(changes.recurrence, start)).lines()
            body |= {"start": vendor_time(start), "end": vendor_time(end)}
    return body


def series_body(
    series: Event, occurrence: Event, changes: Changes, zone: ZoneInfo
) -> tuple[Resource, list[str]]:
    """The patch of a series, and what is lost by it; start and end are meant of `occurrence`.

    Raises InvalidInput.
    """
    body, notes = changes.fields(), list[str]()
    start, end = times_of(series, zone)
    at = planned_times(series, occurrence, zone)
    times = changes.times(*at, zone)
    if times is not None:
        start, end = _moved_along(start, at[0], times, changes)
        body |= {"start": vendor_time(start), "end": vendor_time(end)}
    if changes.recurrence is not None and not changes.recurrence:
        return {**body, "recurrence": None}, ["It does not recur any more."]
    if changes.recurrence is not None or times is not None:
        old = read_recurrence(series["recurrence"], times_of(series, zone)[0])
        moved = old.moved_to(start)
        new = moved
        if changes.recurrence is not None:
            new, notes = _with_exceptions(read_recurrence(changes.recurrence, start), moved)
        body["recurrence"] = checked(new).lines()
    return body, notes


def planned_times(series: Event, occurrence: Event, zone: ZoneInfo) -> Times:
    """When an occurrence would be if it had not been moved; of the series itself, its own times."""
    start, end = times_of(series, zone)
    if "originalStartTime" not in occurrence:
        return start, end
    planned = point_in(occurrence["originalStartTime"], zone)
    if isinstance(planned, datetime) and isinstance(start, datetime):
        planned = planned.astimezone(start.tzinfo)
    return planned, _like(later(planned, elapsed(start, end)), end)


def _moved_along(start: Point, planned: Point, times: Times, changes: Changes) -> Times:
    """The times of the first occurrence when the one that was planned for then moves so."""
    if isinstance(start, datetime) != isinstance(times[0], datetime) and not changes.recurrence:
        raise InvalidInput(
            "A series that changes between whole days and clock times needs its recurrence again."
        )
    by = clock_of(times[0]) - clock_of(planned)
    first = at_clock(clock_of(start) + by, times[0])
    return first, _like(later(first, elapsed(*times)), times[1])


def _with_exceptions(new: Recurrence, old: Recurrence) -> tuple[Recurrence, list[str]]:
    """A new rule with the removed occurrences of the old that it would bring back."""
    notes: list[str] = []
    if old.added:
        notes.append(f"{len(old.added)} single dates (RDATE) of the old recurrence are gone.")
    if not old.removed:
        return new, notes
    last = max(old.removed)
    yielded = {clock_of(point) for point in new.occurrences(last)}
    kept = tuple(clock for clock in old.removed if clock in yielded)
    gone = len(old.removed) - len(kept)
    if gone:
        notes.append(f"{gone} exceptions (EXDATE) do not fit the new recurrence and are gone.")
    return replace(new, removed=tuple(sorted({*new.removed, *kept}))), notes


def _end_after(new_start: Point, start: Point, end: Point, *, keeps_zone: bool) -> Point:
    if isinstance(new_start, datetime) != isinstance(start, datetime):
        is_timed = isinstance(new_start, datetime)
        return later(new_start, DEFAULT_LENGTH if is_timed else timedelta(days=1))
    new_end = later(new_start, elapsed(start, end))
    return _like(new_end, end) if keeps_zone else new_end


def _like(point: Point, other: Point) -> Point:
    """The same moment on the clock of `other`."""
    if isinstance(point, datetime) and isinstance(other, datetime):
        return point.astimezone(other.tzinfo)
    return point


def undo_of(event: Event, changes: Changes, zone: ZoneInfo) -> dict[str, Any]:
    """The arguments that put an event or a series back, for those that were changed."""
    scope = "this" if "recurringEventId" in event else "all"
    found: dict[str, Any] = {"event_id": event["id"], "scope": scope, "zone": None}
    start, end = times_of(event, zone)
    if changes.start is not None or changes.end is not None:
        if zone_of(start) != zone_of(end):
            return {"event_id": None}
        found |= {"start": rfc3339(start), "end": rfc3339(end), "zone": zone_of(start)}
    if changes.recurrence is not None or (event.get("recurrence") and "start" in found):
        found["recurrence"] = list(event.get("recurrence", []))
    for name, key, most in _TEXTS:
        if getattr(changes, name) is not None:
            found[name] = event.get(key, "")
            if len(found[name]) > most:
                return {"event_id": None}
    if changes.is_busy is not None:
        found["busy"] = event.get("transparency") != "transparent"
    if changes.reminders_min is not None:
        reminders = event.get("reminders", {})
        overrides = reminders.get("overrides", [])
        # The tools know reminders on the screen only.
        if reminders.get("useDefault", True) or any(one["method"] != "popup" for one in overrides):
            return {"event_id": None}
        found["reminders_min"] = [one["minutes"] for one in overrides]
    return found
