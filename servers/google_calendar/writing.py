"""Changes of events that are there, each of the version that was seen, and who hears of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from servers.google_calendar.changes import Changes, planned_times, single_body, undo_of
from servers.google_calendar.client import CalendarAccount, Notify, Resource, check_version
from servers.google_calendar.events import attendees_of, myself_in, others_of, summary_of
from servers.google_calendar.models import Changed, Deleted
from servers.google_calendar.series import (
    body_of_all,
    carry_out,
    ended_before,
    later_occurrences,
    split_of,
)
from servers.google_calendar.times import moment_of
from servers.kit.errors import Conflict, InvalidInput

Scope = Literal["this", "following", "all"]
Reply = Literal["accepted", "tentative", "declined"]
MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Target:
    """An event as its caller has seen it."""

    calendar_id: str
    event: Resource
    series: Resource | None
    """The whole series when `event` is an occurrence and more than it is meant."""
    exceptions: Sequence[Resource] = ()
    """What is changed with it: occurrences that may have people of their own."""

    @property
    def whole(self) -> Resource:
        return self.event if self.series is None else self.series

    @property
    def others(self) -> list[str]:
        """Who else is in what is changed."""
        changed = (self.event, self.whole, *self.exceptions)
        return sorted({one for event in changed for one in others_of(event)})


async def read_target(
    calendar: CalendarAccount, calendar_id: str, event_id: str, etag: str, scope: Scope = "this"
) -> Target:
    """The event, if it is as the caller saw it. Raises Conflict, NotFound, InvalidInput."""
    event = await calendar.event(calendar_id, event_id)
    check_version(event, etag)
    if event.get("recurrence") and scope != "all":
        raise InvalidInput(
            f"{event_id!r} is a whole series: pass scope all, or the event_id of an occurrence from"
            " agenda."
        )
    series_id = event.get("recurringEventId")
    if event.get("recurrence"):
        return Target(calendar_id, event, None, await calendar.exceptions(calendar_id, event))
    if series_id is None or scope == "this":
        return Target(calendar_id, event, None)
    series = await calendar.event(calendar_id, series_id)
    exceptions = await calendar.exceptions(calendar_id, series)
    if scope == "following":
        zone = await calendar.zone()
        at = moment_of(planned_times(series, event, zone)[0], zone)
        exceptions = [
            one for one in exceptions if moment_of(planned_times(series, one, zone)[0], zone) >= at
        ]
    return Target(calendar_id, event, series, exceptions)


async def read_whole(
    calendar: CalendarAccount, calendar_id: str, event_id: str, etag: str
) -> Target:
    """The event or the series of this very id, if it is as the caller saw it."""
    event = await calendar.event(calendar_id, event_id)
    check_version(event, etag)
    return Target(calendar_id, event, None)


def check_attendees(target: Target, attendees: Sequence[str]) -> None:
    """Raises Conflict unless these are the other people of the event: they were approved."""
    told = {one.strip().lower() for one in attendees}
    if told == set(target.others):
        return
    missing, strange = sorted(set(target.others) - told), sorted(told - set(target.others))
    raise Conflict(
        "Nothing was done: attendees has to restate the other people of the event."
        + (f" Missing: {_listed(missing)}." if missing else "")
        + (f" Not in it: {_listed(strange)}." if strange else "")
    )


async def update(
    calendar: CalendarAccount,
    target: Target,
    scope: Scope,
    changes: Changes,
    *,
    uninvite: Sequence[str] = (),
    notify: Notify = "none",
) -> tuple[Changed, dict[str, Any]]:
    """Changes an event, and says with which arguments that is undone."""
    if changes.is_empty and not uninvite:
        raise InvalidInput("Nothing to change: pass at least one field.")
    zone = await calendar.zone()
    more = {"attendees": _without(target.whole, uninvite)} if uninvite else {}
    if target.series is not None and scope == "following":
        later = await later_occurrences(calendar, target.calendar_id, target.series, target.event)
        split = split_of(target.series, target.event, later, changes, zone)
        if split is not None:
            split.body.update(more)
            new = await carry_out(calendar, target.calendar_id, target.series, split, notify)
            notes = [f"The series {target.series['id']} ends before; this is a new one."]
            done = await _changed(calendar, target, new, [*notes, *split.notes], notify)
            return done, {"event_id": None}
    if target.whole.get("recurrence"):
        body, notes = await body_of_all(
            calendar, target.calendar_id, target.whole, target.event, changes
        )
    else:
        body, notes = single_body(target.event, changes, zone), []
    changed = await calendar.patch(
        target.calendar_id, target.whole, {**body, **more}, notify=notify
    )
    undo = {"event_id": None} if uninvite else undo_of(target.whole, changes, zone)
    return await _changed(calendar, target, changed, notes, notify), undo


async def delete(
    calendar: CalendarAccount, target: Target, scope: Scope, notify: Notify
) -> Deleted:
    """Deletes an event, an occurrence, or a series from an occurrence on."""
    zone = await calendar.zone()
    notes: list[str] = []
    lines = None
    if target.series is not None and scope == "following":
        lines = ended_before(target.series, target.event, zone)
    if lines is None:
        await calendar.delete(target.calendar_id, target.whole, notify=notify)
    else:
        body = {"recurrence": lines}
        await calendar.patch(target.calendar_id, target.whole, body, notify=notify)
        notes.append(f"The series {target.whole['id']} ends before this occurrence.")
    return Deleted(
        account=calendar.name,
        calendar_id=target.calendar_id,
        event_id=target.event["id"] if scope == "this" else target.whole["id"],
        notified=told(target.others, calendar.name, notify),
        notes=notes,
    )


async def invite(
    calendar: CalendarAccount, target: Target, attendees: Sequence[str], notify: Notify
) -> Changed:
    """Adds people to an event; those who are in it already stay as they are."""
    there = attendees_of(target.event)
    known = {str(one.get("email", "")).lower() for one in there}
    new = [
        one for one in dict.fromkeys(one.strip().lower() for one in attendees) if one not in known
    ]
    if not new:
        raise InvalidInput("All of them are invited already.")
    body: Resource = {"attendees": [*there, *({"email": one} for one in new)]}
    if not there:
        # Without the owner's own entry the event would be one that the owner does not attend.
        own = {"email": calendar.name, "responseStatus": "accepted"}
        body["attendees"] = [own, *body["attendees"]]
    changed = await calendar.patch(target.calendar_id, target.event, body, notify=notify)
    before = [one for one in target.others if notify != "none"]
    notes = [f"{len(before)} who were invited before were told of it, too."] if before else []
    return await _changed(calendar, target, changed, notes, notify)


async def respond(
    calendar: CalendarAccount,
    target: Target,
    reply: Reply,
    comment: str | None,
    organizer: str,
) -> tuple[Changed, dict[str, Any]]:
    """Answers an invitation; the organizer gets mail."""
    own = checked_invitation(target, organizer)
    answer = {**own, "responseStatus": reply}
    if comment is not None:
        answer["comment"] = comment
    people = [
        answer if one is own or one.get("self") else one for one in attendees_of(target.event)
    ]
    body = {"attendees": people}
    changed = await calendar.patch(target.calendar_id, target.event, body, notify="all")
    before = own.get("responseStatus")
    undo = {"response": before, "comment": own.get("comment", "")}
    done = await _changed(calendar, target, changed, [], "none")
    done.notified, done.notes = [organizer.strip().lower()], []
    return done, undo if before in ("accepted", "tentative", "declined") else {"event_id": None}


def checked_invitation(target: Target, organizer: str) -> dict[str, Any]:
    """The owner's own entry in an invitation of `organizer`. Raises Conflict, InvalidInput."""
    own = myself_in(target.event)
    if own is None:
        raise InvalidInput("The owner is not invited to this event, so there is nothing to answer.")
    real = target.event.get("organizer", {})
    if real.get("self"):
        raise InvalidInput("The owner organizes this event: change or delete it instead.")
    if str(real.get("email", "")).lower() != organizer.strip().lower():
        raise Conflict(f"Nothing was done: the organizer is {real.get('email')!r}, look again.")
    return own


async def move(calendar: CalendarAccount, target: Target, to_calendar: str) -> Changed:
    """Puts an event or a whole series into another calendar of the owner."""
    if "recurringEventId" in target.event:
        raise InvalidInput(
            "One occurrence cannot be moved alone: pass its series_id (and the etag of the series)."
        )
    moved = await calendar.move(target.calendar_id, target.event, to_calendar)
    there = Target(to_calendar, moved, None)
    return await _changed(calendar, there, moved, [], "none")


def told(others: Sequence[str], account: str, notify: Notify) -> list[str]:
    """Who gets mail: `external` are those of other domains than the owner's."""
    if notify == "none":
        return []
    own = account.partition("@")[2]
    return [one for one in others if notify == "all" or one.partition("@")[2] != own]


async def _changed(
    calendar: CalendarAccount, target: Target, event: Resource, notes: list[str], notify: Notify
) -> Changed:
    summary = summary_of(event, target.calendar_id, await calendar.zone())
    heard = sorted({*target.others, *others_of(event)})
    silent = (
        [f"Nobody was told: {len(heard)} others are in it."] if heard and notify == "none" else []
    )
    return Changed(
        account=calendar.name,
        calendar_id=target.calendar_id,
        event_id=summary.event_id,
        etag=summary.etag,
        event=summary,
        notified=told(heard, calendar.name, notify),
        notes=[*notes, *silent],
    )


def _without(event: Resource, uninvited: Sequence[str]) -> list[dict[str, Any]]:
    gone = {one.strip().lower() for one in uninvited}
    there = attendees_of(event)
    strange = gone - {str(one.get("email", "")).lower() for one in there}
    if strange:
        raise InvalidInput(f"Not invited at all: {_listed(sorted(strange))}.")
    return [one for one in there if str(one.get("email", "")).lower() not in gone]


def _listed(addresses: Sequence[str]) -> str:
    more = len(addresses) - MAX_SHOWN
    return ", ".join(addresses[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
