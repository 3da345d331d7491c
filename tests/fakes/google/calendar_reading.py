"""The methods of Calendar that read: calendars, events, occurrences, who is busy."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.fakes.google.calendar_times import Moment, moment, zone_of
from tests.fakes.google.calendars import ROLES, Calendar, Entry, Resource
from tests.fakes.google.calls import ApiCall, handles
from tests.fakes.google.discovery import read_time
from tests.fakes.google.refusals import Refused, invalid

_MOST_RESULTS = 2_500
_MOST_BUSY_CALENDARS = 50
_LONGEST_BUSY = timedelta(days=92)
_NOT_WITH_SYNC = (
    *("iCalUID", "orderBy", "q", "timeMin", "timeMax", "updatedMin"),
    *("privateExtendedProperty", "sharedExtendedProperty"),
)
_BUSY_ONLY = ("id", "kind", "etag", "status", "start", "end", "updated", "iCalUID", "eventType",
              "recurringEventId", "originalStartTime")  # fmt: skip


def listed(entry: Entry) -> Resource:
    """Return a calendar as it is in a person's list."""
    there = entry.calendar
    resource: Resource = {
        "kind": "calendar#calendarListEntry",
        "etag": '"1"',
        "id": there.id,
        "summary": there.summary,
        "timeZone": there.zone.key,
        "accessRole": entry.role,
        "defaultReminders": [{"method": "popup", "minutes": 10}] if entry.is_primary else [],
        **entry.shown,
    }
    return {**resource, "primary": True} if entry.is_primary else resource


def shown(call: ApiCall, entry: Entry, event: Resource) -> Resource:
    """Return an event as this person gets it, its times in the zone of the answer."""
    there = entry.calendar
    zone = zone_of(call["timeZone"]) if call["timeZone"] else there.zone
    names = {"start", "end", "originalStartTime"} & event.keys()
    times = {name: _moment(there, event, name).shown(zone) for name in names}
    resource = {**event, **times}
    if event["status"] == "cancelled" and "recurringEventId" in event:
        kept = ("kind", "etag", "id", "status", "recurringEventId", "originalStartTime")
        return {name: resource[name] for name in kept}
    if ROLES.index(entry.role) < ROLES.index("reader"):
        return {name: value for name, value in resource.items() if name in _BUSY_ONLY}
    most = call["maxAttendees"]
    if most is not None and len(resource.get("attendees", ())) > most:
        own = [one for one in resource["attendees"] if one.get("self")]
        resource |= {"attendees": own, "attendeesOmitted": True}
    return resource


def _moment(there: Calendar, event: Resource, name: str) -> Moment:
    return moment(event[name], "start", there.zone)


@handles("calendar.calendarList.list")
def _list_calendars(call: ApiCall) -> Resource:
    least = ROLES.index(call["minAccessRole"] or "none")
    found = [
        listed(entry)
        for entry in call.person.calendar.entries.values()
        if ROLES.index(entry.role) >= least
        and (call["showHidden"] or not entry.shown.get("hidden"))
    ]
    items, more = paged(call, found, 100, 250)
    return {"kind": "calendar#calendarList", "etag": '"1"', "items": items, **more}


@handles("calendar.calendarList.get")
def _get_entry(call: ApiCall) -> Resource:
    return listed(call.person.calendar.entry(call["calendarId"]))


@handles("calendar.calendarList.patch")
def _patch_entry(call: ApiCall) -> Resource:
    entry = call.person.calendar.entry(call["calendarId"])
    entry.shown |= {name: value for name, value in call.body.items() if value is not None}
    return listed(entry)


@handles("calendar.calendars.get")
def _get_calendar(call: ApiCall) -> Resource:
    there = call.person.calendar.entry(call["calendarId"]).calendar
    names = {"id": there.id, "summary": there.summary, "timeZone": there.zone.key}
    return {"kind": "calendar#calendar", "etag": '"1"', **names}


@handles("calendar.settings.get")
def _get_setting(call: ApiCall) -> Resource:
    values = {"timezone": call.person.calendar.primary.zone.key, "locale": "en"}
    if call["setting"] not in values:
        raise Refused(404, "Not Found")
    name = call["setting"]
    return {"kind": "calendar#setting", "etag": '"0"', "id": name, "value": values[name]}


@handles("calendar.colors.get")
def _get_colors(_call: ApiCall) -> Resource:
    color = {"background": "#a4bdfc", "foreground": "#1d1d1d"}
    colors = {str(number): color for number in range(1, 12)}
    return {"kind": "calendar#colors", "event": colors, "calendar": colors}


def paged(
    call: ApiCall, found: list[Resource], default: int, most: int = _MOST_RESULTS
) -> tuple[list[Resource], Resource]:
    """Return one page of what was found, and the field that says what follows. Raises Refused."""
    token = call["pageToken"] or "0"
    if not token.isdecimal() or int(token) > len(found):
        raise invalid("Invalid page token value.", "invalid")
    end = int(token) + min(call["maxResults"] or default, most)
    return found[int(token) : end], {"nextPageToken": str(end)} if end < len(found) else {}


@handles("calendar.events.get")
def _get_event(call: ApiCall) -> Resource:
    entry = call.person.calendar.entry(call["calendarId"])
    return shown(call, entry, entry.calendar.find(call["eventId"]))


def time_window(call: ApiCall) -> tuple[datetime | None, datetime | None]:
    """Return the times between which events are asked for. Raises Refused."""
    low, high = (read_time(name, call[name]) if call[name] else None for name in _WINDOW)
    if low is not None and high is not None and high <= low:
        raise Refused(400, "The specified time range is empty.", "timeRangeEmpty")
    return low, high


_WINDOW = ("timeMin", "timeMax")


@handles("calendar.events.list")
def _list_events(call: ApiCall) -> Resource:
    entry = call.person.calendar.entry(call["calendarId"])
    there = entry.calendar
    if call["orderBy"] == "startTime" and not call["singleEvents"]:
        message = "The requested ordering is not available for the particular query."
        raise Refused(400, message, "invalid")
    found = _changed(call, there) if call["syncToken"] else _window_of_events(call, there)
    if call["orderBy"] == "startTime":
        found.sort(key=lambda one: (there.start(one).at, one["id"]))
    elif call["orderBy"] == "updated":
        found.sort(key=lambda one: one["updated"])
    items, more = paged(call, [shown(call, entry, one) for one in found], 250)
    if not more and not call["orderBy"]:
        more = {"nextSyncToken": f"sync-{there.number}"}
    return _page(call, entry, items, more)


def _page(call: ApiCall, entry: Entry, items: list[Resource], more: Resource) -> Resource:
    there = entry.calendar
    return {
        "kind": "calendar#events",
        "etag": f'"p{there.number}"',
        "summary": there.summary,
        "updated": f"{call.google.now().astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z",
        "timeZone": call["timeZone"] or there.zone.key,
        "accessRole": entry.role,
        "defaultReminders": [{"method": "popup", "minutes": 10}],
        "items": items,
        **more,
    }


def _changed(call: ApiCall, there: Calendar) -> list[Resource]:
    if wrong := [name for name in _NOT_WITH_SYNC if call[name]]:
        raise invalid(f"Sync token cannot be used with {wrong[0]}", "invalid")
    token = call["syncToken"].removeprefix("sync-")
    if not token.isdecimal() or int(token) < there.oldest_sync:
        gone = "Sync token is no longer valid, a full sync is required."
        raise Refused(410, gone, "fullSyncRequired")
    return [there.events[key] for key, number in there.changes.items() if number > int(token)]


def _window_of_events(call: ApiCall, there: Calendar) -> list[Resource]:
    low, high = time_window(call)
    found: list[Resource] = []
    for event in list(there.events.values()):
        found += _as_asked(call, there, event, low, high)
    if call["updatedMin"]:
        after = read_time("updatedMin", call["updatedMin"])
        found = [one for one in found if read_time("updated", one["updated"]) >= after]
    return [one for one in found if _matches(call, one)]


def _as_asked(
    call: ApiCall, there: Calendar, event: Resource, low: datetime | None, high: datetime | None
) -> list[Resource]:
    """Return an event, or the occurrences of a series, as far as they are asked for."""
    is_cancelled = event["status"] == "cancelled"
    is_exception = "recurringEventId" in event
    shows_deleted = call["showDeleted"] or bool(call["updatedMin"])
    if call["singleEvents"]:
        if is_exception or (is_cancelled and not shows_deleted):
            return []
        if event.get("recurrence"):
            found = [] if is_cancelled else there.expanded(event, low, high)
            return [one for one in found if shows_deleted or one["status"] != "cancelled"]
    elif is_cancelled and not is_exception and not shows_deleted:
        return []
    elif event.get("recurrence"):
        return [event] if there.expanded(event, low, high) else []
    return [event] if there.touches(event, low, high) else []


def _matches(call: ApiCall, event: Resource) -> bool:
    if call["iCalUID"] and event["iCalUID"] != call["iCalUID"]:
        return False
    if call["eventTypes"] and event["eventType"] not in call["eventTypes"]:
        return False
    for kind in ("private", "shared"):
        own = event.get("extendedProperties", {}).get(kind, {})
        for pair in call[f"{kind}ExtendedProperty"]:
            name, _, value = pair.partition("=")
            if own.get(name) != value:
                return False
    return all(word in _text(event) for word in (call["q"] or "").lower().split())


def _text(event: Resource) -> str:
    people = [*event.get("attendees", ()), event.get("organizer", {})]
    names = [one.get(name, "") for one in people for name in ("email", "displayName")]
    own = [event.get(name, "") for name in ("summary", "description", "location")]
    return " ".join([*own, *names]).lower()


@handles("calendar.events.instances")
def _list_instances(call: ApiCall) -> Resource:
    entry = call.person.calendar.entry(call["calendarId"])
    there = entry.calendar
    series = there.find(call["eventId"])
    if not series.get("recurrence"):
        raise Refused(400, "The event is not recurring.", "invalid")
    found = there.expanded(series, *time_window(call))
    if call["originalStart"]:
        asked = read_time("originalStart", call["originalStart"])
        found = [one for one in found if _moment(there, one, "originalStartTime").at == asked]
    kept = [one for one in found if call["showDeleted"] or one["status"] != "cancelled"]
    kept.sort(key=lambda one: there.start(one).at)
    items, more = paged(call, [shown(call, entry, one) for one in kept], 250)
    return _page(call, entry, items, more)


@handles("calendar.freebusy.query")
def _free_busy(call: ApiCall) -> Resource:
    if not call.body.get("timeMin") or not call.body.get("timeMax"):
        raise Refused(400, "Missing timeMin or timeMax.", "required")
    low, high = (read_time(name, call.body[name]) for name in _WINDOW)
    if high <= low:
        raise Refused(400, "The specified time range is empty.", "timeRangeEmpty")
    if high - low > _LONGEST_BUSY:
        raise Refused(400, "The requested time range is too long.", "timeRangeTooLong")
    items = call.body.get("items") or []
    if len(items) > _MOST_BUSY_CALENDARS:
        raise invalid("Too many calendars requested.", "tooManyCalendarsRequested")
    zone = zone_of(call.body.get("timeZone") or "UTC")
    return {
        "kind": "calendar#freeBusy",
        "timeMin": low.astimezone(UTC).isoformat().replace("+00:00", ".000Z"),
        "timeMax": high.astimezone(UTC).isoformat().replace("+00:00", ".000Z"),
        "calendars": {one["id"]: _busy(call, one["id"], low, high, zone) for one in items},
    }


def _busy(call: ApiCall, name: str, low: datetime, high: datetime, zone: ZoneInfo) -> Resource:
    there = _visible(call, name)
    if there is None:
        return {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
    times: list[tuple[datetime, datetime]] = []
    for event in list(there.events.values()):
        if event.get("recurrence") and event["status"] != "cancelled":
            found = there.expanded(event, low, high)
        else:
            is_single = "recurringEventId" not in event
            found = [event] if is_single and there.touches(event, low, high) else []
        times += [(there.start(one).at, there.end(one).at) for one in found if _is_busy(one)]
    return {"busy": [_span(*one, zone) for one in _merged(times, low, high)]}


def _visible(call: ApiCall, name: str) -> Calendar | None:
    own = call.person.calendar.entries.get(call.person.email if name == "primary" else name)
    if own is not None:
        return own.calendar
    other = call.google.people.get(name)
    return None if other is None or other.calendar.hides_free_busy else other.calendar.primary


def _is_busy(event: Resource) -> bool:
    answers = [one["responseStatus"] for one in event.get("attendees", ()) if one.get("self")]
    is_free = event["status"] == "cancelled" or event.get("transparency") == "transparent"
    return not is_free and answers != ["declined"]


def _merged(
    times: list[tuple[datetime, datetime]], low: datetime, high: datetime
) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted((max(start, low), min(end, high)) for start, end in times):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _span(start: datetime, end: datetime, zone: ZoneInfo) -> dict[str, Any]:
    texts = (time.astimezone(zone).isoformat().replace("+00:00", "Z") for time in (start, end))
    return dict(zip(("start", "end"), texts, strict=True))
