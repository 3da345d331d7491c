"""The tools that change events: one's own freely, those with others only as approved."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from servers.google_calendar import writing
from servers.google_calendar.arguments import (
    Address,
    Busy,
    CalendarId,
    Description,
    End,
    Etag,
    EventId,
    Location,
    Notify,
    Others,
    Recurrence,
    Reminders,
    Scope,
    Time,
    Title,
    Zone,
)
from servers.google_calendar.booking import OnConflict, create, new_booking
from servers.google_calendar.changes import Changes, plain_fields
from servers.google_calendar.client import CalendarClient
from servers.google_calendar.models import Changed, Created, Deleted
from servers.google_calendar.previews import add_preview
from servers.kit.accounts import AccountArgument
from servers.kit.errors import InvalidInput
from servers.kit.gate.current import current_call_id
from servers.kit.server import FleetServer

Tool: TypeAlias = Callable[..., Any]


def register(mcp: FleetServer[CalendarClient]) -> None:
    """Adds them to the server, with what is shown before they are approved."""
    _add_new(mcp)
    for tool in (_invite(mcp), *_changing(mcp), _delete(mcp), *_answering(mcp)):
        add_preview(mcp, tool)


def _add_new(mcp: FleetServer[CalendarClient]) -> None:
    @mcp.fleet_tool
    async def create_event(  # pyright: ignore[reportUnusedFunction]  # it is a tool
        title: Annotated[str, Field(min_length=1, max_length=1_000, description="Its title.")],
        start: Time,
        end: Annotated[
            str | None,
            Field(max_length=40, description="Without: 1 h or 1 day. Of whole days: day after."),
        ] = None,
        zone: Zone = None,
        end_zone: Annotated[
            str | None, Field(max_length=60, description="When it ends in another zone: flights.")
        ] = None,
        calendar_id: CalendarId = "primary",
        location: Location = None,
        description: Description = None,
        recurrence: Recurrence = None,
        reminders_min: Reminders = None,
        busy: Busy = None,
        add_meet: Annotated[bool, Field(description="With a Google Meet link.")] = False,
        on_conflict: Annotated[
            OnConflict, Field(description="When other events are on then, or the same one.")
        ] = "warn",
        account: AccountArgument = None,
    ) -> Created:
        """Make an event of the owner alone; then `invite` others if there are any.

        Clock times are those of zone. `clashes` tells what else is on then, and likely duplicates.
        """
        calendar = await mcp.lifespan_value.open(account, "write")
        times, zones = (start, end), (zone, end_zone)
        own_zone = await calendar.zone()
        booking = new_booking(title, times, zones, own_zone, recurrence or ())
        fields = plain_fields(location, description, reminders_min, busy)
        call_id = current_call_id()
        if add_meet:
            request = {"requestId": call_id, "conferenceSolutionKey": {"type": "hangoutsMeet"}}
            fields["conferenceData"] = {"createRequest": request}
        return await create(calendar, calendar_id, booking, fields, call_id, on_conflict)


def _invite(mcp: FleetServer[CalendarClient]) -> Tool:
    @mcp.fleet_tool
    async def invite(
        event_id: EventId,
        etag: Etag,
        attendees: Annotated[
            list[Address], Field(min_length=1, max_length=100, description="Whom to invite.")
        ],
        calendar_id: CalendarId = "primary",
        notify: Notify = "all",
        account: AccountArgument = None,
    ) -> Changed:
        """Invite people to an event, by mail. A series_id as event_id invites to the series."""
        calendar = await mcp.lifespan_value.open(account, "write")
        target = await writing.read_whole(calendar, calendar_id, event_id, etag)
        return await writing.invite(calendar, target, attendees, notify)

    return invite


def _changing(mcp: FleetServer[CalendarClient]) -> tuple[Tool, Tool]:
    @mcp.fleet_tool
    async def update_event(
        event_id: EventId,
        etag: Etag,
        calendar_id: CalendarId = "primary",
        scope: Scope = "this",
        title: Title = None,
        start: Annotated[str | None, Field(max_length=40, description="New start.")] = None,
        end: End = None,
        zone: Zone = None,
        location: Location = None,
        description: Description = None,
        recurrence: Recurrence = None,
        reminders_min: Reminders = None,
        busy: Busy = None,
        account: AccountArgument = None,
    ) -> Changed:
        """Change an event of the owner alone; for one with other people use update_meeting.

        A new start alone moves it. scope following splits the series.
        """
        calendar = await mcp.lifespan_value.open(account, "write")
        target = await writing.read_target(calendar, calendar_id, event_id, etag, scope)
        if target.others:
            raise InvalidInput("Other people are in this event: use update_meeting.")
        fields = (location, description, recurrence, reminders_min, busy)
        changes = Changes(title, start, end, zone, *fields)
        done, undo = await writing.update(calendar, target, scope, changes)
        mcp.undo_with(**undo)
        return done

    @mcp.fleet_tool
    async def update_meeting(
        event_id: EventId,
        etag: Etag,
        attendees: Others,
        calendar_id: CalendarId = "primary",
        scope: Scope = "this",
        notify: Notify = "none",
        title: Title = None,
        start: Annotated[str | None, Field(max_length=40, description="New start.")] = None,
        end: End = None,
        zone: Zone = None,
        location: Location = None,
        description: Description = None,
        recurrence: Recurrence = None,
        uninvite: Annotated[
            list[Address] | None, Field(max_length=100, description="Whom to take out.")
        ] = None,
        account: AccountArgument = None,
    ) -> Changed:
        """Change an event that others are in; it changes in their calendars, too.

        Nobody gets mail unless notify says so.
        """
        calendar = await mcp.lifespan_value.open(account, "write")
        target = await writing.read_target(calendar, calendar_id, event_id, etag, scope)
        writing.check_attendees(target, attendees)
        changes = Changes(title, start, end, zone, location, description, recurrence)
        done, undo = await writing.update(
            calendar, target, scope, changes, uninvite=uninvite or (), notify=notify
        )
        mcp.undo_with(**undo)
        return done

    return update_event, update_meeting


def _delete(mcp: FleetServer[CalendarClient]) -> Tool:
    @mcp.fleet_tool
    async def delete_event(
        event_id: EventId,
        etag: Etag,
        attendees: Annotated[
            list[Address] | None,
            Field(max_length=200, description="`others` of get_event, restated, if there are any."),
        ] = None,
        calendar_id: CalendarId = "primary",
        scope: Scope = "this",
        notify: Notify = "none",
        account: AccountArgument = None,
    ) -> Deleted:
        """Delete an event; one the owner organizes is cancelled for all, with mail if notify."""
        calendar = await mcp.lifespan_value.open(account, "write")
        target = await writing.read_target(calendar, calendar_id, event_id, etag, scope)
        writing.check_attendees(target, attendees or ())
        return await writing.delete(calendar, target, scope, notify)

    return delete_event


def _answering(mcp: FleetServer[CalendarClient]) -> tuple[Tool, Tool]:
    @mcp.fleet_tool
    async def respond(
        event_id: EventId,
        etag: Etag,
        response: Annotated[writing.Reply, Field(description="The owner's answer.")],
        organizer: Annotated[Address, Field(description="organizer of get_event: gets mail.")],
        comment: Annotated[
            str | None, Field(max_length=500, description="A line for the organizer.")
        ] = None,
        calendar_id: CalendarId = "primary",
        account: AccountArgument = None,
    ) -> Changed:
        """Answer an invitation. A series_id as event_id answers for the whole series."""
        calendar = await mcp.lifespan_value.open(account, "write")
        target = await writing.read_whole(calendar, calendar_id, event_id, etag)
        done, undo = await writing.respond(calendar, target, response, comment, organizer)
        mcp.undo_with(**undo)
        return done

    @mcp.fleet_tool
    async def move_event(
        event_id: EventId,
        etag: Etag,
        to_calendar: Annotated[
            str, Field(min_length=1, max_length=300, description="From list_calendars.")
        ],
        calendar_id: CalendarId = "primary",
        account: AccountArgument = None,
    ) -> Changed:
        """Put an event, or a whole series, into another calendar of the owner; no mail is sent."""
        calendar = await mcp.lifespan_value.open(account, "write")
        target = await writing.read_whole(calendar, calendar_id, event_id, etag)
        moved = await writing.move(calendar, target, to_calendar)
        mcp.undo_with(calendar_id=to_calendar, to_calendar=calendar_id)
        return moved

    return respond, move_event
