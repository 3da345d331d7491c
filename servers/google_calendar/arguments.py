"""Arguments that several tools share."""

from typing import Annotated

from pydantic import Field

from servers.google_calendar.changes import MAX_DESCRIPTION, MAX_LOCATION, MAX_TITLE
from servers.google_calendar.client import Notify as NotifyWhom
from servers.google_calendar.writing import Scope as ScopeOfChange

Address = Annotated[str, Field(max_length=254, pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$")]
Time = Annotated[
    str, Field(max_length=40, description="2026-11-20T15:30, or 2026-11-20 for whole days.")
]
End = Annotated[
    str | None,
    Field(max_length=40, description="As start; of whole days the day after the last."),
]
Zone = Annotated[
    str | None, Field(max_length=60, description="IANA name; without: the owner's zone.")
]
CalendarId = Annotated[str, Field(min_length=1, max_length=300, description="From list_calendars.")]
EventId = Annotated[str, Field(min_length=1, max_length=1024, description="From agenda.")]
Etag = Annotated[
    str, Field(min_length=1, max_length=100, description="The event's, as you read it.")
]
Scope = Annotated[
    ScopeOfChange, Field(description="Of a series: this occurrence, this and following, or all.")
]
Notify = Annotated[
    NotifyWhom, Field(description="Who gets mail; external: only people of other domains.")
]
Others = Annotated[
    list[Address], Field(max_length=200, description="`others` of get_event, restated.")
]
Recurrence = Annotated[
    list[str] | None,
    Field(max_length=20, description='RFC 5545 lines: ["RRULE:FREQ=WEEKLY;BYDAY=MO"].'),
]
Reminders = Annotated[
    list[Annotated[int, Field(ge=0, le=40_320)]] | None,
    Field(max_length=5, description="Minutes before."),
]
Title = Annotated[str | None, Field(max_length=MAX_TITLE, description="New title.")]
Location = Annotated[
    str | None, Field(max_length=MAX_LOCATION, description="Where; an empty text clears.")
]
Description = Annotated[
    str | None, Field(max_length=MAX_DESCRIPTION, description="Text; an empty one clears.")
]
Busy = Annotated[bool | None, Field(description="Whether it blocks the time.")]
