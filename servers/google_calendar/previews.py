"""What the owner reads before approving a change: the event, not its id."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from servers.google_calendar import writing
from servers.google_calendar.changes import Changes, single_body
from servers.google_calendar.client import CalendarAccount, CalendarClient
from servers.google_calendar.events import summary_of
from servers.google_calendar.models import EventSummary
from servers.google_calendar.series import body_of_all, later_occurrences, split_of
from servers.kit.previews import Preview, PreviewLine
from servers.kit.server import FleetServer

Arguments = Mapping[str, Any]
_OF_SERIES = {
    "this": "this occurrence only",
    "following": "this occurrence and all after it",
    "all": "the whole series",
}
_NEW = ("title", "start", "end", "zone", "location", "recurrence", "reminders_min", "busy")
_MAIL = {"none": "nobody gets mail", "external": "only people of other domains", "all": "everybody"}


def add_preview(mcp: FleetServer[CalendarClient], tool: Callable[..., Any]) -> None:
    """Adds the preview of a tool, which takes the same arguments as that."""

    async def preview(**arguments: Any) -> Preview:
        calendar = await mcp.lifespan_value.open(arguments.get("account"), "write")
        return await _preview(calendar, tool.__name__, arguments)

    preview.__signature__ = inspect.signature(tool).replace(return_annotation=Preview)  # pyright: ignore[reportFunctionMemberAccess]  # PEP 362
    preview.__annotations__ = {**tool.__annotations__, "return": Preview}
    mcp.preview_of(tool.__name__)(preview)


async def _preview(calendar: CalendarAccount, tool: str, arguments: Arguments) -> Preview:
    """Raises what the tool itself would raise of an event that was changed since."""
    calendar_id, event_id = arguments["calendar_id"], arguments["event_id"]
    scope: writing.Scope = arguments.get("scope", "this")
    if "scope" in arguments:
        target = await writing.read_target(
            calendar, calendar_id, event_id, arguments["etag"], scope
        )
    else:
        target = await writing.read_whole(calendar, calendar_id, event_id, arguments["etag"])
    if tool in ("update_meeting", "delete_event"):
        writing.check_attendees(target, arguments.get("attendees") or ())
    if tool == "respond":
        writing.checked_invitation(target, arguments["organizer"])
    zone = await calendar.zone()
    event = summary_of(target.event, calendar_id, zone)
    lines = [_line("Event", event.untrusted_title), _line("When", _when(event))]
    if calendar_id != "primary":
        lines.append(_line("In the calendar", calendar_id))
    if target.series is not None or target.event.get("recurrence"):
        lines.append(_line("Of the series", _OF_SERIES[scope if target.series else "all"]))
    elif target.event.get("recurringEventId"):
        lines.append(_line("Of the series", _OF_SERIES["this"]))
    lines += [
        _line(f"New {name}", str(arguments[name])) for name in _NEW if _is_given(arguments, name)
    ]
    lines += _about_people(target, tool, arguments)
    if tool in ("update_event", "update_meeting"):
        lines += await _consequences(calendar, target, scope, _changes(arguments))
    return Preview(lines=lines, text=arguments.get("description") or arguments.get("comment"))


def _about_people(target: writing.Target, tool: str, arguments: Arguments) -> list[PreviewLine]:
    lines = [_line("With", ", ".join(target.others))] if target.others else []
    if tool == "respond":
        lines += [_line("Answer", arguments["response"]), _line("Mail to", arguments["organizer"])]
    if tool == "move_event":
        lines.append(_line("To the calendar", arguments["to_calendar"]))
    if tool == "invite":
        lines.append(_line("Invites", ", ".join(arguments["attendees"])))
    if uninvited := arguments.get("uninvite"):
        lines.append(_line("Takes out", ", ".join(uninvited)))
    if "notify" in arguments and (target.others or tool == "invite"):
        lines.append(_line("Mail to", _MAIL[arguments["notify"]]))
    return lines


async def _consequences(
    calendar: CalendarAccount, target: writing.Target, scope: writing.Scope, changes: Changes
) -> list[PreviewLine]:
    """What is lost by it. Raises InvalidInput for what could not be done."""
    zone = await calendar.zone()
    if target.series is not None and scope == "following":
        later = await later_occurrences(calendar, target.calendar_id, target.series, target.event)
        split = split_of(target.series, target.event, later, changes, zone)
        if split is not None:
            return [_line("Note", note) for note in split.notes]
    if not target.whole.get("recurrence"):
        single_body(target.event, changes, zone)
        return []
    _, notes = await body_of_all(calendar, target.calendar_id, target.whole, target.event, changes)
    return [_line("Note", note) for note in notes]


def _changes(arguments: Arguments) -> Changes:
    given = {name: arguments.get(name) for name in (*_NEW, "description")}
    given["is_busy"] = given.pop("busy")
    return Changes(**given)


def _when(event: EventSummary) -> str:
    if event.all_day:
        return f"{event.start} to before {event.end}"
    return f"{event.start} to {event.end} ({event.zone})"


def _is_given(arguments: Arguments, name: str) -> bool:
    return arguments.get(name) is not None


def _line(name: str, value: str) -> PreviewLine:
    return PreviewLine(name=name, value=value)
