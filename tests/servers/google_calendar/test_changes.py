"""What a change means: in whose zone, in whose calendar, and what takes it back."""

from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.fakes.google import FakeGoogle
from tests.fakes.google.calendars import Entry
from tests.servers.google_calendar.conftest import ANNA, Call
from tests.servers.google_calendar.test_writing import BO, CY, seen

AT = ("2026-11-23T12:00", "2026-11-23T13:00")


@pytest.mark.parametrize("recurrence", [[], ["RRULE:FREQ=DAILY;COUNT=2"]])
async def test_a_clock_time_is_that_of_the_owner_whatever_zone_the_event_has(
    call: Call, calendar: Any, recurrence: list[str]
) -> None:
    made = calendar.add("Standup", *AT, zone="UTC", recurrence=recurrence)

    changed = await call(
        "update_event", **seen(made), scope="all", start="2026-11-23T15:00", end="2026-11-23T17:00"
    )

    now = changed["event"]
    assert (now["start"], now["end"], now["own_zone"]) == (
        "2026-11-23T15:00:00+01:00", "2026-11-23T17:00:00+01:00", "UTC"
    )  # fmt: skip


async def test_a_day_alone_takes_no_clock_time_away(client: Client[Any], calendar: Any) -> None:
    made = calendar.add("Lunch", *AT)
    with pytest.raises(ToolError, match="write 2026-11-25T12:00, or pass end too"):
        await client.call_tool("update_event", {**seen(made), "start": "2026-11-25"})

    days = {"start": "2026-11-25", "end": "2026-11-27"}
    await client.call_tool("update_event", {**seen(made), **days})

    assert calendar.event(made["id"])["end"] == {"date": "2026-11-27"}


async def test_a_title_where_none_was_can_be_undone(client: Client[Any], calendar: Any) -> None:
    made = calendar.add("", *AT)

    done = await client.call_tool("update_event", {**seen(made), "title": "Lunch"})
    undo = (done.meta or {})["flotilla/undo"]
    await client.call_tool(undo["tool"], undo["arguments"])

    assert not calendar.event(made["id"]).get("summary")


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ({"description": "a" * 8_001}, {"description": "b"}),
        (
            {"reminders": {"useDefault": False, "overrides": [{"method": "email", "minutes": 9}]}},
            {"reminders_min": [5]},
        ),
    ],
)
async def test_what_no_call_can_bring_back_offers_no_undo(
    client: Client[Any], calendar: Any, before: dict[str, Any], change: dict[str, Any]
) -> None:
    made = calendar.add("Lunch", *AT, **before)

    done = await client.call_tool("update_event", {**seen(made), **change})

    assert "flotilla/undo" not in (done.meta or {})


async def test_in_a_calendar_of_another_person_that_person_is_not_the_owner(
    client: Client[Any], calendar: Any, google: FakeGoogle, asked: list[str]
) -> None:
    bos = google.person(BO).calendar
    calendar.entries[BO] = Entry(bos.primary, "writer")
    talk = bos.add("Talk", *AT, attendees=[BO, CY], organizer=CY)
    own = bos.add("Own", *AT, attendees=[BO])
    there = {"calendar_id": BO}
    answer = {"response": "declined", "organizer": CY}

    read = await client.call_tool("get_event", {"event_id": talk["id"], **there})
    with pytest.raises(ToolError, match="The owner is not invited"):
        await client.call_tool("respond", {**seen(talk), **there, **answer})
    with pytest.raises(ToolError, match="use update_meeting"):
        await client.call_tool("update_event", {**seen(own), **there, "title": "Mine"})
    with pytest.raises(ToolError, match=f"Missing: {BO}"):
        await client.call_tool("delete_event", {**seen(own), **there})
    await client.call_tool("delete_event", {**seen(own), **there, "attendees": [BO]})

    assert read.structured_content is not None
    assert read.structured_content["others"] == [BO, CY]
    assert read.structured_content["event"]["my_response"] is None
    assert f"In the calendar: {BO}" in asked[-1]
    assert bos.event(talk["id"])["attendees"][0]["responseStatus"] == "needsAction"


async def test_an_answer_does_not_say_that_nobody_was_told(call: Call, calendar: Any) -> None:
    talk = calendar.add("Talk", *AT, attendees=[ANNA, BO], organizer=BO)

    done = await call("respond", **seen(talk), response="accepted", organizer=BO)

    assert (done["notified"], done["notes"]) == ([BO], [])
