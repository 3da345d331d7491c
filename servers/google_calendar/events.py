"""Events of the vendor as the tools tell them: times in one zone, texts of strangers cleaned."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from servers.google_calendar.models import (
    Attendee,
    CalendarSummary,
    EventDetails,
    EventSummary,
    Response,
)
from servers.google_calendar.times import Point, point_in, rfc3339, zone_of
from servers.kit.foreign_text import clean_text, text_of_html
from servers.kit.output import within_bytes

# Of calendars that are no person.
CALENDAR_DOMAIN = "calendar.google.com"
MAX_TITLE_CHARS = 200
MAX_LOCATION_CHARS = 200
MAX_NAME_CHARS = 80
MAX_DESCRIPTION_CHARS = 8_000
BRIEF_DESCRIPTION_CHARS = 500
MAX_ATTENDEES = 50
MAX_LINES = 10
MAX_LINE_CHARS = 600
# The ceiling of a result is 32,000 bytes, in which quotes count twice.
MAX_DETAILS_BYTES = 26_000
_MAX_ATTENDEES_BYTES = 8_000
MAX_URL_CHARS = 300

_RESPONSES: dict[str, Response] = {
    "needsAction": "needs_action",
    "accepted": "accepted",
    "tentative": "tentative",
    "declined": "declined",
}

Event = Mapping[str, Any]


def calendar_summary(entry: Mapping[str, Any]) -> CalendarSummary:
    """A calendar in the owner's list."""
    name = entry.get("summaryOverride") or entry.get("summary")
    return CalendarSummary(
        calendar_id=entry["id"],
        untrusted_name=_text(name, MAX_NAME_CHARS) or "(no name)",
        role=entry.get("accessRole", "none"),
        is_primary=bool(entry.get("primary")),
        selected=bool(entry.get("selected")),
        zone=entry.get("timeZone"),
    )


def summary_of(
    event: Event, calendar_id: str, zone: ZoneInfo, *, description_chars: int = 0
) -> EventSummary:
    """An event in short, its times in `zone`."""
    start, end = times_of(event, zone)
    own, end_zone = zone_of(start), zone_of(end)
    return EventSummary(
        event_id=event["id"],
        calendar_id=calendar_id,
        series_id=event.get("recurringEventId"),
        etag=str(event["etag"]).strip('"'),
        untrusted_title=title_of(event),
        start=rfc3339(_shown(start, zone)),
        end=rfc3339(_shown(end, zone)),
        all_day=not isinstance(start, datetime),
        zone=zone.key,
        own_zone=own if own != zone.key else None,
        end_zone=end_zone if end_zone != own else None,
        untrusted_location=_text(event.get("location"), MAX_LOCATION_CHARS),
        status=str(event.get("status", "confirmed")),
        is_free=event.get("transparency") == "transparent",
        attendees_count=len(attendees_of(event)),
        my_response=my_response(event),
        untrusted_conference_url=_conference_url(event),
        untrusted_description=_description(event, description_chars),
    )


def details_of(
    event: Event, calendar_id: str, account: str, zone: ZoneInfo, recurrence: Sequence[str]
) -> EventDetails:
    """All that is worth telling of an event."""
    text = _description(event, MAX_DESCRIPTION_CHARS + 1) or ""
    reminders = event.get("reminders", {})
    overrides = [int(one["minutes"]) for one in reminders.get("overrides", [])]
    details = EventDetails(
        account=account,
        event=summary_of(event, calendar_id, zone),
        recurrence=[_line(one) for one in recurrence][:MAX_LINES],
        description_truncated=False,
        organizer=event.get("organizer", {}).get("email"),
        others=others_of(event),
        attendees=_attendees(event),
        reminders_min=None if reminders.get("useDefault", True) else overrides,
        url=event.get("htmlLink"),
        visibility=str(event.get("visibility", "default")),
    )
    left = MAX_DETAILS_BYTES - len(details.model_dump_json().encode())
    shown = within_bytes(text[:MAX_DESCRIPTION_CHARS], max(left, 0))
    details.event.untrusted_description = shown or None
    details.description_truncated = len(shown) < len(text)
    return details


def _attendees(event: Event) -> list[Attendee]:
    """The first of them, as far as there is room."""
    found: list[Attendee] = []
    size = 0
    for one in attendees_of(event)[:MAX_ATTENDEES]:
        attendee = _attendee(one)
        size += len(attendee.model_dump_json().encode())
        if size > _MAX_ATTENDEES_BYTES:
            break
        found.append(attendee)
    return found


def _line(line: str) -> str:
    """A line of a recurrence; of one that is too long only its kind, which no tool takes back."""
    return line if len(line) <= MAX_LINE_CHARS else f"{line.partition(':')[0]}: (too long to show)"


def times_of(event: Event, zone: ZoneInfo) -> tuple[Point, Point]:
    """Start and end in their own zones; `zone` where they have none."""
    return point_in(event["start"], zone), point_in(event["end"], zone)


def duration_of(event: Event, zone: ZoneInfo) -> timedelta:
    """How long it takes on the clock of the world; whole days for one of days."""
    start, end = times_of(event, zone)
    return elapsed(start, end)


def elapsed(start: Point, end: Point) -> timedelta:
    """The time between two points of the same kind."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        # Of two datetimes in one zone Python subtracts the clock times (PEP 495).
        return timedelta(seconds=end.timestamp() - start.timestamp())
    return date(end.year, end.month, end.day) - date(start.year, start.month, start.day)


def title_of(event: Event) -> str:
    return _text(event.get("summary"), MAX_TITLE_CHARS) or "(no title)"


def attendees_of(event: Event) -> list[dict[str, Any]]:
    return list(event.get("attendees", []))


def others_of(event: Event) -> list[str]:
    """The addresses of all people of an event but the owner, in lower case; rooms are no people."""
    people = [one for one in attendees_of(event) if not one.get("resource")]
    organizer = event.get("organizer", {})
    # The organizer of what is in a shared calendar is that calendar.
    is_person = not str(organizer.get("email", "")).endswith(CALENDAR_DOMAIN)
    people += [organizer] if attendees_of(event) and is_person else []
    found = {
        str(one["email"]).lower() for one in people if one.get("email") and not one.get("self")
    }
    return sorted(found)


def myself_in(event: Event) -> dict[str, Any] | None:
    """The owner's own entry among the attendees."""
    return next((one for one in attendees_of(event) if one.get("self")), None)


def my_response(event: Event) -> Response | None:
    own = myself_in(event)
    return None if own is None else _RESPONSES.get(own.get("responseStatus", ""), "needs_action")


def is_taken(event: Event) -> bool:
    """Whether it keeps the owner busy."""
    is_free = event.get("transparency") == "transparent" or event.get("status") == "cancelled"
    return not is_free and my_response(event) != "declined"


def _shown(point: Point, zone: ZoneInfo) -> Point:
    return point.astimezone(zone) if isinstance(point, datetime) else point


def _attendee(one: Event) -> Attendee:
    return Attendee(
        email=str(one.get("email", "")).lower(),
        untrusted_name=_text(one.get("displayName"), MAX_NAME_CHARS),
        response=_RESPONSES.get(one.get("responseStatus", ""), "needs_action"),
        is_organizer=bool(one.get("organizer")),
        is_optional=bool(one.get("optional")),
        untrusted_comment=_text(one.get("comment"), MAX_LOCATION_CHARS),
    )


def _description(event: Event, max_chars: int) -> str | None:
    text = event.get("description")
    if not text or not max_chars:
        return None
    # The vendor's own page writes HTML into it; "a < b" alone is none.
    plain = text_of_html(text)[0] if "</" in text or "<br" in text else text
    return clean_text(plain, max_chars) or None


def _conference_url(event: Event) -> str | None:
    entries = event.get("conferenceData", {}).get("entryPoints", [])
    video = next((one.get("uri") for one in entries if one.get("entryPointType") == "video"), None)
    return _text(video or event.get("hangoutLink"), MAX_URL_CHARS)


def _text(value: object, max_chars: int) -> str | None:
    return clean_text(value, max_chars) or None if isinstance(value, str) else None
