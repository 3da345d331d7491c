"""The methods of Calendar that change something."""

import copy
import re
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from tests.fakes.google import mime
from tests.fakes.google.calendar_reading import listed, shown
from tests.fakes.google.calendar_times import check_recurrence
from tests.fakes.google.calendars import Calendar, Entry, Notice, Resource
from tests.fakes.google.calls import ApiCall, handles
from tests.fakes.google.refusals import Refused, invalid

_ID = re.compile(r"[a-v0-9]{5,1024}")
_SHARED = ("summary", "description", "location", "start", "end", "recurrence", "conferenceData")
_GOOGLES_OWN = frozenset(
    {
        *("kind", "id", "etag", "htmlLink", "created", "updated", "creator", "organizer"),
        *("hangoutLink", "recurringEventId", "originalStartTime", "iCalUID", "sequence"),
        *("attendeesOmitted", "locked", "privateCopy", "endTimeUnspecified"),
    }
)


@handles("calendar.events.insert")
def _insert(call: ApiCall) -> Resource:
    entry = call.person.calendar.entry(call["calendarId"], "writer")
    event = {name: value for name, value in call.body.items() if value is not None}
    event_id = event.get("id")
    if event_id is not None and not _ID.fullmatch(event_id):
        raise Refused(400, "Invalid resource id value.", "invalid")
    if event_id in entry.calendar.events:
        raise Refused(409, "The requested identifier already exists.", "duplicate")
    _check(entry.calendar, event)
    _confer(call, event, event.pop("conferenceData", None))
    made = call.person.calendar.new_event(entry.calendar, event, call.person.email)
    _tell(call, entry, made, "invite")
    return shown(call, entry, made)


@handles("calendar.events.patch")
def _patch(call: ApiCall) -> Resource:
    return _changed(call, is_whole=False)


@handles("calendar.events.update")
def _update(call: ApiCall) -> Resource:
    return _changed(call, is_whole=True)


def _changed(call: ApiCall, *, is_whole: bool) -> Resource:
    entry = call.person.calendar.entry(call["calendarId"], "writer")
    there = entry.calendar
    old = there.find(call["eventId"])
    _check_etag(call, old)
    _check_life(call, old)
    new = _replaced(old, call.body) if is_whole else _merged(old, call.body)
    _confer(call, new, call.body.get("conferenceData"), old.get("conferenceData"))
    _check(there, new)
    _check_organizer(there, old, new)
    new["sequence"] = old["sequence"] + (old["start"] != new["start"] or old["end"] != new["end"])
    call.person.calendar.normalise(there, new)
    there.keep(new)
    is_reply = not old["organizer"].get("self") and "organizer" in old
    _tell(call, entry, new, "reply" if is_reply else "update")
    return shown(call, entry, new)


def _check_etag(call: ApiCall, event: Resource) -> None:
    if call.if_match not in (None, "*", event["etag"]):
        place = {"locationType": "header", "location": "If-Match"}
        raise Refused(412, "Precondition Failed", "conditionNotMet", place=place)


def _check_life(call: ApiCall, event: Resource) -> None:
    """Let nothing be done to a deleted event but bring it back. Raises Refused."""
    is_brought_back = call.body.get("status") in ("confirmed", "tentative")
    if event["status"] == "cancelled" and not is_brought_back:
        raise Refused(410, "Resource has been deleted", "deleted")


def _replaced(old: Resource, body: Resource) -> Resource:
    kept = {name: value for name, value in old.items() if name in _GOOGLES_OWN}
    given = {name: value for name, value in body.items() if value is not None}
    own = {name: value for name, value in given.items() if name not in _GOOGLES_OWN}
    base = {"status": "confirmed", "eventType": old["eventType"], "reminders": {"useDefault": True}}
    return copy.deepcopy({**base, **own, **kept})


def _merged(old: Resource, body: Resource) -> Resource:
    """Return an event with a patch: null takes away, lists are replaced, objects are merged."""
    changes = {name: value for name, value in body.items() if name not in _GOOGLES_OWN}
    return _merge(copy.deepcopy(old), copy.deepcopy(changes))


def _merge(old: Resource, changes: Resource) -> Resource:
    for name, value in changes.items():
        if value is None:
            old.pop(name, None)
        elif isinstance(value, dict):
            before = old.get(name)
            old[name] = _merge(before if isinstance(before, dict) else {}, value)
        else:
            old[name] = value
    return old


def _check(there: Calendar, event: Resource) -> None:
    """Raise Refused unless these fields make an event."""
    start, end = there.start(event), there.end(event)
    if start.is_day != end.is_day:
        raise Refused(400, "Start and end times must either both be date or both be dateTime.")
    if end.at < start.at or (start.is_day and end.at == start.at):
        raise Refused(400, "The specified time range is empty.", "timeRangeEmpty")
    if event.get("recurrence"):
        check_recurrence(event["recurrence"], start)
    for one in event.get("attendees", ()):
        if not mime.is_address(one.get("email", "")):
            raise Refused(400, "Invalid attendee email.", "invalid")
        if one.get("responseStatus", "accepted") not in _ANSWERS:
            raise Refused(400, "Invalid attendee response status.", "invalid")
    if event.get("status", "confirmed") not in ("confirmed", "tentative", "cancelled"):
        raise Refused(400, "Invalid event status.", "invalid")
    if event.get("transparency", "opaque") not in ("opaque", "transparent"):
        raise Refused(400, "Invalid value for: transparency", "invalid")


_ANSWERS = ("needsAction", "declined", "tentative", "accepted")


def _check_organizer(there: Calendar, old: Resource, new: Resource) -> None:
    """Let a guest change nothing that all people of the event share. Raises Refused."""
    if old["organizer"].get("self") or there.id != there.owner or old.get("guestsCanModify"):
        return
    changed = any(there_is != new.get(name) for name, there_is in _shared(old).items())
    answers = [{one["email"]: one.get("responseStatus") for one in e.get("attendees", ())
                if one["email"] != there.id} for e in (old, new)]  # fmt: skip
    if changed or answers[0] != answers[1]:
        message = "Shared properties can only be changed by the organizer of the event."
        raise Refused(403, message, "forbiddenForNonOrganizer")


def _shared(event: Resource) -> Resource:
    return {name: event.get(name) for name in _SHARED}


def _confer(call: ApiCall, event: Resource, wanted: Any, had: Any = None) -> None:
    """Make the meeting that is asked for; without its version, conferences are left as they are."""
    event.pop("conferenceData", None)
    if call["conferenceDataVersion"] != 1 or wanted is None:
        if had is not None and not (
            call["conferenceDataVersion"] == 1 and "conferenceData" in call.body
        ):
            event["conferenceData"] = had
        else:
            event.pop("hangoutLink", None)
        return
    request = wanted.get("createRequest")
    if request is None:
        event["conferenceData"] = wanted
        return
    if not request.get("requestId"):
        raise invalid("Missing conference request id.", "required")
    code = f"{uuid4().hex[:3]}-{uuid4().hex[:4]}-{uuid4().hex[:3]}"
    uri = f"https://meet.google.com/{code}"
    event["hangoutLink"] = uri
    event["conferenceData"] = {
        "createRequest": {**request, "status": {"statusCode": "success"}},
        "entryPoints": [{"entryPointType": "video", "uri": uri, "label": uri[8:]}],
        "conferenceSolution": {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"},
        "conferenceId": code,
    }


@handles("calendar.events.delete")
def _delete(call: ApiCall) -> None:
    entry = call.person.calendar.entry(call["calendarId"], "writer")
    there = entry.calendar
    event = copy.deepcopy(there.find(call["eventId"]))
    if event["status"] == "cancelled":
        raise Refused(410, "Resource has been deleted", "deleted")
    _check_etag(call, event)
    event["status"] = "cancelled"
    there.keep(event)
    for exception in there.exceptions(event["id"]):
        there.keep({**exception, "status": "cancelled"})
    _tell(call, entry, event, "cancel" if event["organizer"].get("self") else "reply")


@handles("calendar.events.move")
def _move(call: ApiCall) -> Resource:
    source = call.person.calendar.entry(call["calendarId"], "writer")
    target = call.person.calendar.entry(call["destination"], "writer")
    event = source.calendar.find(call["eventId"])
    _check_etag(call, event)
    _check_life(call, event)
    if "recurringEventId" in event:
        message = "Cannot change the organizer of an instance."
        raise Refused(400, message, "cannotChangeOrganizerOfInstance")
    if not event["organizer"].get("self") and source.is_primary:
        message = "Cannot change the organizer of an event that somebody else organises."
        raise Refused(400, message, "cannotChangeOrganizer")
    moved = copy.deepcopy(event) | {"organizer": {"email": target.calendar.id}}
    for exception in source.calendar.exceptions(event["id"]):
        target.calendar.keep(copy.deepcopy(exception))
        del source.calendar.events[exception["id"]]
    source.calendar.keep({**event, "status": "cancelled"})
    call.person.calendar.normalise(target.calendar, moved)
    target.calendar.keep(moved)
    _tell(call, target, moved, "update")
    return shown(call, target, moved)


@handles("calendar.calendars.insert")
def _new_calendar(call: ApiCall) -> Resource:
    if not call.body.get("summary"):
        raise Refused(400, "Missing title.", "required")
    box = call.person.calendar
    calendar_id = box.add_calendar(call.body["summary"], zone=call.body.get("timeZone"))
    whole = listed(box.entry(calendar_id))
    kept = {name: whole[name] for name in ("etag", "id", "summary", "timeZone")}
    return {"kind": "calendar#calendar", **kept}


def _tell(call: ApiCall, entry: Entry, event: Resource, kind: str) -> None:
    """Send mail about an event to whom the request says."""
    asked = call["sendUpdates"] or ("all" if call["sendNotifications"] else "none")
    people: Iterable[str] = [event["organizer"]["email"]]
    if kind != "reply":
        people = [one["email"] for one in event.get("attendees", ()) if not one.get("self")]
    domain = call.person.email.partition("@")[2]
    told = [
        one
        for one in people
        if asked == "all" or (asked == "externalOnly" and one.partition("@")[2] != domain)
    ]
    if told:
        summary = event.get("summary", "")
        call.google.invitations.append(Notice(kind, entry.calendar.id, event["id"], summary, told))
