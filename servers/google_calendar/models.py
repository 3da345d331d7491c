"""What the tools return.

Times are RFC 3339 with the offset of `zone`, an IANA name; whole days are dates, and their end is
the day after the last, as the vendor has it.
"""

from typing import Literal

from pydantic import BaseModel, Field

Response = Literal["needs_action", "accepted", "tentative", "declined"]


class CalendarSummary(BaseModel):
    calendar_id: str
    untrusted_name: str = Field(description="Whoever shares a calendar names it.")
    role: str = Field(description="What the owner may do: owner, writer, reader, freeBusyReader.")
    is_primary: bool
    selected: bool = Field(description="Shown in the owner's calendar; agenda looks at these.")
    zone: str | None


class Calendars(BaseModel):
    account: str
    items: list[CalendarSummary]
    truncated: bool = False


class EventSummary(BaseModel):
    event_id: str
    calendar_id: str
    series_id: str | None = Field(description="Of a recurring event: the id of its whole series.")
    etag: str = Field(description="The version; tools that change the event need it.")
    untrusted_title: str
    start: str
    end: str = Field(description="Whole days: the day after the last.")
    all_day: bool
    zone: str = Field(description="Of start and end, as written here.")
    own_zone: str | None = Field(default=None, description="The event's own zone, when another.")
    end_zone: str | None = Field(default=None, description="Own zone of the end, when another.")
    untrusted_location: str | None
    status: str
    is_free: bool = Field(description="It does not block the time.")
    attendees_count: int
    my_response: Response | None
    untrusted_conference_url: str | None
    untrusted_description: str | None = None


class Day(BaseModel):
    date: str
    weekday: str
    events: list[int] = Field(description="Positions in items, from 0.")


class Agenda(BaseModel):
    account: str
    zone: str
    items: list[EventSummary]
    by_day: list[Day] = Field(description="Days with events; long ones are in several.")
    notes: list[str] = Field(description="What could not be looked at.")
    next_cursor: str | None
    truncated: bool


class Attendee(BaseModel):
    email: str
    untrusted_name: str | None
    response: Response
    is_organizer: bool
    is_optional: bool
    untrusted_comment: str | None


class EventDetails(BaseModel):
    account: str
    event: EventSummary
    recurrence: list[str] = Field(description="Lines of RFC 5545; of the series for an occurrence.")
    description_truncated: bool
    organizer: str | None
    others: list[str] = Field(
        description="All other people of it: what tools with `attendees` want restated."
    )
    attendees: list[Attendee] = Field(description="The first of them: 50 at most.")
    reminders_min: list[int] | None = Field(description="Minutes before; null: the calendar's.")
    url: str | None
    visibility: str


class FreeSlot(BaseModel):
    start: str
    end: str
    minutes: int


class FreeTime(BaseModel):
    account: str
    zone: str
    items: list[FreeSlot] = Field(description="Stretches in which all are free, earliest first.")
    looked_at: list[str] = Field(description="Calendars and people whose busy times are known.")
    unknown: list[str] = Field(description="Whose busy times are NOT known: ask them.")
    truncated: bool


class Clash(BaseModel):
    kind: Literal["conflict", "duplicate"] = Field(
        description="duplicate: nearly the same title and start, so probably the same event."
    )
    event_id: str
    calendar_id: str
    untrusted_title: str
    start: str
    end: str


class Created(BaseModel):
    account: str
    calendar_id: str
    event_id: str
    etag: str
    event: EventSummary
    clashes: list[Clash] = Field(description="Other events then; the event was made all the same.")
    notes: list[str]


class Changed(BaseModel):
    account: str
    calendar_id: str
    event_id: str
    etag: str
    event: EventSummary
    notified: list[str] = Field(description="Who was sent mail about it.")
    notes: list[str] = Field(description="What else changed, or was lost.")


class Deleted(BaseModel):
    account: str
    calendar_id: str
    event_id: str
    notified: list[str]
    notes: list[str]
