"""Google Calendar in its own words: events as it gives them, each write with its precondition."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from servers.google_calendar.events import CALENDAR_DOMAIN
from servers.google_calendar.settings import Settings
from servers.google_calendar.times import point_in, utc_text, zone_named
from servers.kit.errors import Conflict, NotFound, Unavailable
from servers.kit.google.api import GoogleAccount, GoogleApi
from servers.kit.google.bearer import Accounts
from servers.kit.google.errors import OutcomeUnknown

Resource: TypeAlias = dict[str, Any]
Notify = Literal["none", "external", "all"]

MAX_CALENDARS = 250
# An event with 200 guests is about 40 kB.
MAX_PAGE_BYTES = 16 * 1024 * 1024
_PAGE = 250
_MAX_INSTANCES = 2_500
_SEND_UPDATES: dict[Notify, str] = {"none": "none", "external": "externalOnly", "all": "all"}


class CalendarClient:
    """Opens the calendars of an account."""

    def __init__(self, api: GoogleApi, settings: Settings) -> None:
        self._api = api
        self._settings = settings

    async def open(self, account: str | None, capability: str) -> "CalendarAccount":
        """The calendars of an account that permits `capability`. Raises SignInRequired, ..."""
        return CalendarAccount(await self._api.account(account, capability), self._settings.zone)


@asynccontextmanager
async def open_client(accounts: Accounts) -> AsyncGenerator[CalendarClient]:
    async with GoogleApi(accounts, "calendar", "v3") as api:
        yield CalendarClient(api, Settings())


class CalendarAccount:
    """The calendars of one account, for one call of a tool.

    Every method raises the UpstreamErrors: NotFound, Conflict when an etag is not the present one,
    NotAllowed, Unavailable.
    """

    def __init__(self, google: GoogleAccount, zone: ZoneInfo | None) -> None:
        self.name = google.name
        self._google = google
        self._zone = zone
        self._events = google.service.events()

    async def zone(self, asked: str | None = None) -> ZoneInfo:
        """The zone of this name; else the owner's: as set, else that of the primary calendar."""
        if asked is not None:
            return zone_named(asked)
        if self._zone is None:
            entry = self._google.service.calendarList().get(calendarId="primary")
            name = (await self._google.execute(entry)).get("timeZone", "UTC")
            self._zone = zone_named(name)
        return self._zone

    async def calendars(self) -> list[Resource]:
        """The calendars in the owner's list, the hidden ones too; the first 250."""
        entries = self._google.service.calendarList()
        found = await self._google.execute(entries.list(maxResults=MAX_CALENDARS, showHidden=True))
        return found.get("items", [])

    async def events(
        self,
        calendar_id: str,
        start: datetime,
        end: datetime,
        *,
        query: str | None = None,
        page_size: int = _PAGE,
    ) -> AsyncGenerator[Resource]:
        """Events and occurrences that touch the time from `start` to `end`, by their starts."""
        token: str | None = None
        while True:
            request = self._events.list(
                calendarId=calendar_id,
                timeMin=utc_text(start),
                timeMax=utc_text(end),
                singleEvents=True,
                orderBy="startTime",
                maxResults=page_size,
                pageToken=token,
                q=query,
            )
            try:
                page = await self._google.execute(request, max_bytes=MAX_PAGE_BYTES)
            except NotFound as error:
                named = calendar_id[:80]
                raise NotFound(f"There is no calendar {named!r}: see list_calendars.") from error
            for event in page.get("items", []):
                yield self._as_owner(calendar_id, event)
            if (token := page.get("nextPageToken")) is None:
                return

    async def event(self, calendar_id: str, event_id: str) -> Resource:
        """An event, an occurrence or a series, if it is not deleted."""
        event = await self.event_or_deleted(calendar_id, event_id)
        if event.get("status") == "cancelled":
            raise NotFound(f"The event {event_id!r} was deleted.")
        return event

    async def event_or_deleted(self, calendar_id: str, event_id: str) -> Resource:
        request = self._events.get(calendarId=calendar_id, eventId=event_id)
        try:
            return self._as_owner(calendar_id, await self._google.execute(request))
        except NotFound as error:
            raise NotFound(
                f"There is no event {event_id[:80]!r} in the calendar {calendar_id[:80]!r}."
            ) from error

    def _as_owner(self, calendar_id: str, event: Resource) -> Resource:
        """The event with `self` for the owner only: in a calendar of another, it is that person."""
        if calendar_id in ("primary", self.name):
            return event
        organizer = event.get("organizer", {})
        # Of a calendar that belongs to nobody in person, the calendar itself is the organizer.
        is_person = not str(organizer.get("email", "")).endswith(CALENDAR_DOMAIN)
        for one in (*event.get("attendees", []), *([organizer] if is_person else [])):
            one["self"] = str(one.get("email", "")).lower() == self.name
        return event

    async def exceptions(self, calendar_id: str, series: Mapping[str, Any]) -> list[Resource]:
        """The occurrences of a series that differ from it, but for deleted ones."""
        found: list[Resource] = []
        token: str | None = None
        while True:
            request = self._events.list(
                calendarId=calendar_id, iCalUID=series["iCalUID"], maxResults=250, pageToken=token
            )
            page = await self._google.execute(request, max_bytes=MAX_PAGE_BYTES)
            found += [one for one in page.get("items", []) if "recurringEventId" in one]
            if (token := page.get("nextPageToken")) is None:
                return [self._as_owner(calendar_id, one) for one in found]

    async def instances(self, calendar_id: str, series_id: str, start: datetime) -> list[Resource]:
        """The occurrences of a series from about `start` on, deleted ones too; the first 2,500."""
        request = self._events.instances(
            calendarId=calendar_id,
            eventId=series_id,
            timeMin=utc_text(start),
            showDeleted=True,
            maxResults=_MAX_INSTANCES,
            fields="items(id,status,summary,location,description,start,end,originalStartTime)",
        )
        page = await self._google.execute(request, max_bytes=MAX_PAGE_BYTES)
        return page.get("items", [])

    async def busy(self, ids: Sequence[str], start: datetime, end: datetime) -> dict[str, Resource]:
        """Busy times by calendar or person; `errors` where they are not known."""
        body = {
            "timeMin": utc_text(start),
            "timeMax": utc_text(end),
            "items": [{"id": one} for one in ids],
        }
        answer = await self._google.execute(
            self._google.service.freebusy().query(body=body), may_repeat=True
        )
        return answer.get("calendars", {})

    async def insert(
        self, calendar_id: str, body: Resource, *, notify: Notify = "none"
    ) -> Resource:
        """The event with the id in `body`; made once, however often it is sent.

        One that was there already is returned as it is. Raises Conflict when it was deleted since.
        """
        request = self._events.insert(
            calendarId=calendar_id,
            body=_without_nulls(body),
            sendUpdates=_SEND_UPDATES[notify],
            conferenceDataVersion=1,
        )
        try:
            made = await self._google.execute(request, may_repeat=True)
            return self._as_owner(calendar_id, made)
        except (Conflict, OutcomeUnknown) as error:
            try:
                return await self.event(calendar_id, body["id"])
            except NotFound:
                if isinstance(error, Conflict):
                    raise Conflict("This event was made before, and deleted since.") from error
                raise Unavailable("Google did not answer; the event was not made.") from error

    async def patch(
        self,
        calendar_id: str,
        event: Resource,
        body: Resource,
        *,
        notify: Notify = "none",
    ) -> Resource:
        """The event with these fields changed, if it is still as `event`; null clears a field."""
        request = self._events.patch(
            calendarId=calendar_id,
            eventId=event["id"],
            body=body,
            sendUpdates=_SEND_UPDATES[notify],
            **({"conferenceDataVersion": 1} if "conferenceData" in body else {}),
        )
        request.headers["If-Match"] = event["etag"]
        try:
            return self._as_owner(calendar_id, await self._google.execute(request))
        except OutcomeUnknown as error:
            found = await self.event(calendar_id, event["id"])
            if found["etag"] == event["etag"]:
                raise Unavailable("Google did not answer; nothing was changed.") from error
            if not is_as(found, body):
                raise
            return found

    async def delete(self, calendar_id: str, event: Resource, *, notify: Notify = "none") -> None:
        """Deletes an event that is still as `event`; one that is gone meanwhile is no error."""
        request = self._events.delete(
            calendarId=calendar_id, eventId=event["id"], sendUpdates=_SEND_UPDATES[notify]
        )
        request.headers["If-Match"] = event["etag"]
        try:
            await self._google.execute(request, may_repeat=True)
        except NotFound:
            return
        except OutcomeUnknown as error:
            try:
                found = await self.event(calendar_id, event["id"])
            except NotFound:
                return
            if found["etag"] == event["etag"]:
                raise Unavailable("Google did not answer; nothing was deleted.") from error
            raise

    async def move(self, calendar_id: str, event: Resource, to_calendar: str) -> Resource:
        """The event in another calendar."""
        request = self._events.move(
            calendarId=calendar_id,
            eventId=event["id"],
            destination=to_calendar,
            sendUpdates="none",
        )
        request.headers["If-Match"] = event["etag"]
        try:
            return self._as_owner(to_calendar, await self._google.execute(request))
        except OutcomeUnknown as error:
            try:
                return await self.event(to_calendar, event["id"])
            except NotFound:
                raise Unavailable("Google did not answer; the event was not moved.") from error


def quoted(etag: str) -> str:
    """An etag as the vendor has it, however a model wrote it."""
    return f'"{etag.strip().removeprefix("W/").strip(chr(34))}"'


def check_version(event: Mapping[str, Any], etag: str) -> None:
    """Raises Conflict unless this is the version the caller has seen."""
    if quoted(event["etag"]) != quoted(etag):
        raise Conflict(
            "The event was changed since you read it, and nothing was done: look again (get_event)"
            " and decide again."
        )


def is_as(event: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether an event is as a write wanted it, in what the vendor does not reword."""
    for name in ("summary", "description", "location", "recurrence", "transparency"):
        if name in body and (event.get(name) or None) != (body[name] or None):
            return False
    utc = ZoneInfo("UTC")
    for name in ("start", "end"):
        if name in body and point_in(event[name], utc) != point_in(body[name], utc):
            return False
    wanted = body.get("attendees")
    return wanted is None or _people(wanted) == _people(event.get("attendees", []))


def _people(attendees: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(one["email"].lower(), one.get("responseStatus", "needsAction")) for one in attendees}


def _without_nulls(body: Mapping[str, Any]) -> Resource:
    """A new event has nothing that a null could clear."""
    return {
        name: _without_nulls(value) if name in ("start", "end") else value
        for name, value in body.items()
        if value is not None
    }
