"""The calendars of all people: events, series with their exceptions, and who may do what."""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.fakes.google.calendar_times import Moment, moment, occurrences
from tests.fakes.google.refusals import Refused, not_found

if TYPE_CHECKING:
    from tests.fakes.google.server import FakeGoogle

Resource = dict[str, Any]
When = str | datetime | date
ROLES = ("none", "freeBusyReader", "reader", "writer", "owner")
_INSTANCE = re.compile(r"(.+)_(\d{8}(?:T\d{6}Z)?)")
_OF_A_SERIES = ("recurrence", "etag")


@dataclass(frozen=True)
class Notice:
    """A mail about an event that Google sent to other people, for tests to look at."""

    kind: str
    """`invite`, `update`, `cancel` or `reply`."""
    calendar: str
    event: str
    summary: str
    recipients: list[str]


@dataclass
class Calendar:
    """One calendar; an event is kept as the resource that clients get, times as they were given."""

    id: str
    summary: str
    zone: ZoneInfo
    owner: str
    now: Callable[[], datetime]
    events: dict[str, Resource] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    """The number of the last change, by event."""
    number: int = 1
    oldest_sync: int = 0

    def start(self, event: Resource) -> Moment:
        return moment(event.get("start"), "start", self.zone)

    def end(self, event: Resource) -> Moment:
        return moment(event.get("end"), "end", self.zone)

    def duration(self, event: Resource) -> timedelta:
        """Return how long an event takes; whole days for one of days."""
        start, end = self.start(event), self.end(event)
        return end.local - start.local if start.is_day else end.at - start.at

    def keep(self, event: Resource) -> None:
        """Keep an event as it is now, with another etag."""
        self.number += 1
        event["updated"] = f"{self.now().astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        event["etag"] = f'"{3_500_000_000_000 + self.number * 2_000}"'
        self.changes[event["id"]] = self.number
        self.events[event["id"]] = event

    def find(self, event_id: str) -> Resource:
        """Return an event, an exception or a plain occurrence. Raises Refused."""
        if event_id in self.events:
            return self.events[event_id]
        match = _INSTANCE.fullmatch(event_id)
        series = self.events.get(match[1]) if match else None
        if match is None or series is None or not series.get("recurrence"):
            raise not_found("Not Found")
        for start in self._starts_near(series, match[2]):
            if start.suffix() == match[2]:
                return self._occurrence(series, start)
        raise not_found("Not Found")

    def _starts_near(self, series: Resource, suffix: str) -> Iterator[Moment]:
        at = datetime.strptime(suffix[:8], "%Y%m%d").replace(tzinfo=UTC)
        day = timedelta(days=1)
        return occurrences(series["recurrence"], self.start(series), at - day, at + day)

    def _occurrence(self, series: Resource, start: Moment) -> Resource:
        """Return one occurrence of a series, which may be an exception."""
        event_id = f"{series['id']}_{start.suffix()}"
        if event_id in self.events:
            return self.events[event_id]
        kept = {name: value for name, value in series.items() if name not in _OF_A_SERIES}
        return {
            **kept,
            "id": event_id,
            "etag": series["etag"],
            "recurringEventId": series["id"],
            "originalStartTime": start.shown(start.zone),
            "start": start.shown(start.zone),
            "end": start.later(self.duration(series)).shown(start.zone),
        }

    def expanded(
        self, series: Resource, earliest: datetime | None, latest: datetime | None
    ) -> list[Resource]:
        """Return the occurrences of a series that touch a time, exceptions in their places."""
        low = earliest - self.duration(series) if earliest else None
        starts = occurrences(series["recurrence"], self.start(series), low, latest)
        found = [self._occurrence(series, start) for start in starts]
        ids = {one["id"] for one in found}
        # An occurrence that was moved here starts elsewhere in its series.
        moved = [one for one in self.exceptions(series["id"]) if one["id"] not in ids]
        found += [one for one in moved if self._is_of(series, one)]
        return [one for one in found if self.touches(one, earliest, latest)]

    def _is_of(self, series: Resource, exception: Resource) -> bool:
        suffix = exception["id"].removeprefix(f"{series['id']}_")
        return any(start.suffix() == suffix for start in self._starts_near(series, suffix))

    def exceptions(self, series_id: str) -> list[Resource]:
        events = self.events.values()
        return [one for one in events if one.get("recurringEventId") == series_id]

    def touches(self, event: Resource, earliest: datetime | None, latest: datetime | None) -> bool:
        """Whether an event ends after a time and starts before another."""
        start, end = self.start(event).at, self.end(event).at
        return (earliest is None or end > earliest) and (latest is None or start < latest)


@dataclass
class Entry:
    """A calendar in the list of one person."""

    calendar: Calendar
    role: str
    is_primary: bool = False
    shown: Resource = field(default_factory=lambda: {"selected": True})


class PersonsCalendars:
    """The calendars of one account. What has no underscore may be called by tests."""

    def __init__(self, email: str, google: "FakeGoogle") -> None:
        self.email = email
        self._google = google
        self.entries: dict[str, Entry] = {}
        self.hides_free_busy = False
        """Whether others may not even see when this person is busy."""
        self.primary = self._made(email, email, "Europe/Berlin", email)
        self.entries[email] = Entry(self.primary, "owner", is_primary=True)

    def set_zone(self, zone: str, calendar: str = "primary") -> None:
        """Change the zone of a calendar."""
        self.entry(calendar).calendar.zone = ZoneInfo(zone)

    def add_calendar(
        self, summary: str, *, role: str = "owner", selected: bool = True, zone: str | None = None
    ) -> str:
        """Put another calendar into the list, which belongs to somebody else unless owned."""
        with self._google.lock:
            calendar_id = f"{secrets.token_hex(16)}@group.calendar.google.com"
            owner = self.email if role == "owner" else "somebody@example.org"
            made = self._made(calendar_id, summary, zone or self.primary.zone.key, owner)
            self.entries[calendar_id] = Entry(made, role, shown={"selected": selected})
            return calendar_id

    def add(
        self,
        summary: str,
        start: When,
        end: When,
        *,
        calendar: str = "primary",
        zone: str | None = None,
        recurrence: Iterable[str] = (),
        attendees: Iterable[str | Resource] = (),
        organizer: str | None = None,
        **fields: Any,
    ) -> Resource:
        """Put an event into a calendar; times are a text, a datetime, or a date for whole days.

        `attendees` are addresses or whole entries. Returns the event as it is kept.
        """
        with self._google.lock:
            there = self.entry(calendar).calendar
            event: Resource = {
                "summary": summary,
                "start": _when(start, zone or there.zone.key),
                "end": _when(end, zone or there.zone.key),
                **fields,
            }
            if lines := list(recurrence):
                event["recurrence"] = lines
            if people := [{"email": one} if isinstance(one, str) else one for one in attendees]:
                event["attendees"] = people
            return self.new_event(there, event, organizer or self.email)

    def new_event(self, there: Calendar, event: Resource, organizer: str) -> Resource:
        """Keep a new event with what Google adds to it."""
        event_id = event.get("id") or secrets.token_hex(13)
        made = f"{self._google.now().astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        is_own_place = there.id == self.email or organizer != self.email
        whole: Resource = {
            "kind": "calendar#event",
            "status": "confirmed",
            "reminders": {"useDefault": True},
            "eventType": "default",
            "sequence": 0,
            "iCalUID": f"{event_id}@google.com",
            **{name: value for name, value in event.items() if value is not None},
            "id": event_id,
            "htmlLink": f"https://www.google.com/calendar/event?eid={event_id}",
            "created": made,
            "creator": {"email": organizer},
            "organizer": {"email": organizer if is_own_place else there.id},
        }
        self.normalise(there, whole)
        there.keep(whole)
        return whole

    def normalise(self, there: Calendar, event: Resource) -> None:
        """Fill in what Google keeps of the people of an event."""
        organizer = event["organizer"]["email"]
        for place in ("creator", "organizer"):
            event[place] = {"email": event[place]["email"]}
            if event[place]["email"] in (there.id, there.owner if place == "creator" else ""):
                event[place]["self"] = True
        for one in event.get("attendees", ()):
            is_organizer = one["email"] == organizer
            one.setdefault("responseStatus", "accepted" if is_organizer else "needsAction")
            if is_organizer:
                one["organizer"] = True
            if one["email"] == there.id:
                one["self"] = True

    def event(self, event_id: str, calendar: str = "primary") -> Resource:
        """Return an event or an occurrence as it is now."""
        return self.entry(calendar).calendar.find(event_id)

    def events(self, calendar: str = "primary") -> list[Resource]:
        """Return all events that were not cancelled: single ones, series, exceptions."""
        events = self.entry(calendar).calendar.events.values()
        return [one for one in events if one["status"] != "cancelled"]

    def occurrences(self, series_id: str, calendar: str = "primary") -> list[Resource]:
        """Return the occurrences of a series that were not cancelled, by their starts."""
        there = self.entry(calendar).calendar
        found = there.expanded(there.events[series_id], None, None)
        kept = [one for one in found if one["status"] != "cancelled"]
        return sorted(kept, key=lambda one: there.start(one).at)

    def forget_sync_tokens(self) -> None:
        """Let no sync token that was given out be good any more."""
        for entry in self.entries.values():
            entry.calendar.number += 1
            entry.calendar.oldest_sync = entry.calendar.number

    def entry(self, calendar_id: str, role: str = "freeBusyReader") -> Entry:
        """Return a calendar of the list in which this person may do something. Raises Refused."""
        entry = self.entries.get(self.email if calendar_id == "primary" else calendar_id)
        if entry is None:
            raise not_found("Not Found")
        if ROLES.index(entry.role) < ROLES.index(role):
            needed = f"You need to have {role} access to this calendar."
            raise Refused(403, needed, "requiredAccessLevel")
        return entry

    def _made(self, calendar_id: str, summary: str, zone: str, owner: str) -> Calendar:
        there = Calendar(calendar_id, summary, ZoneInfo(zone), owner, self._google.now)
        self._google.calendars[calendar_id] = there
        return there


def _when(time: When, zone: str) -> Resource:
    if isinstance(time, datetime):
        return {"dateTime": time.isoformat(), "timeZone": zone}
    text = time if isinstance(time, str) else time.isoformat()
    return {"date": text} if len(text) == 10 else {"dateTime": text, "timeZone": zone}
