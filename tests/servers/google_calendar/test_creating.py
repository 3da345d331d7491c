"""New events: one for one call, in the zone that is meant, with a word about what else is on."""

from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.fakes.google import FakeGoogle
from tests.servers.google_calendar.conftest import Call

AT = {"start": "2026-11-23T10:00", "zone": "Europe/Berlin"}


async def test_an_event_is_made_and_can_be_undone(
    client: Client[Any], calendar: Any, asked: list[str]
) -> None:
    made = await client.call_tool("create_event", {"title": "Dentist", **AT, "reminders_min": [30]})

    (event,) = calendar.events()
    assert made.structured_content["event_id"] == event["id"]
    assert event["start"] == {
        "dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "Europe/Berlin"
    }  # fmt: skip
    assert event["end"]["dateTime"] == "2026-11-23T11:00:00+01:00"
    assert event["reminders"]["overrides"] == [{"method": "popup", "minutes": 30}]
    assert asked == []
    undo = (made.meta or {})["flotilla/undo"]
    await client.call_tool(undo["tool"], undo["arguments"])
    assert calendar.events() == []


async def test_whole_days_and_flights_between_zones(call: Call, calendar: Any) -> None:
    day = await call("create_event", title="Off", start="2026-12-24")
    flight = await call(
        "create_event", title="Flight", start="2026-11-25T10:00", zone="Europe/Berlin",
        end="2026-11-25T13:00", end_zone="America/New_York",
    )  # fmt: skip

    assert (day["event"]["start"], day["event"]["end"]) == ("2026-12-24", "2026-12-25")
    assert flight["event"]["end"] == "2026-11-25T19:00:00+01:00"
    assert flight["event"]["end_zone"] == "America/New_York"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"start": "2026-11-23T10:00Z", "zone": "Europe/Berlin"}, "contradicts the zone"),
        ({"start": "2027-03-28T02:30", "zone": "Europe/Berlin"}, "does not exist"),
        ({"start": "2026-10-25T02:30", "zone": "Europe/Berlin"}, "happens twice"),
        ({**AT, "end": "2026-11-23T09:00"}, "is not after start"),
        ({"start": "2026-11-23", "end": "2026-11-23"}, "day after the last"),
        ({**AT, "end": "2026-11-24"}, "both dates"),
        ({"start": "2026-11-23T10:00+01:00", "recurrence": ["FREQ=DAILY"]}, "needs its IANA zone"),
        ({**AT, "recurrence": ["RRULE:FREQ=DAILY;UNTIL=20260101T000000Z"]}, "never happens"),
        ({**AT, "recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=TU"]}, "first occurrence would be"),
    ],
)
async def test_what_contradicts_itself_is_refused(
    client: Client[Any], google: FakeGoogle, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ToolError, match=problem):
        await client.call_tool("create_event", {"title": "X", **arguments})

    assert google.count("calendar.events.insert") == 0


async def test_a_series_of_one_year_is_made(call: Call, calendar: Any) -> None:
    made = await call("create_event", title="Gym", **AT,
                      recurrence=["FREQ=WEEKLY;BYDAY=MO;UNTIL=20261207"])  # fmt: skip

    assert calendar.event(made["event_id"])["recurrence"] == [
        "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20261207T225959Z"
    ]
    assert len(calendar.occurrences(made["event_id"])) == 3


async def test_what_else_is_on_and_what_seems_the_same_is_told(call: Call, calendar: Any) -> None:
    calendar.add("Stand-up", "2026-11-23T10:30", "2026-11-23T10:45")
    calendar.add("dentist ", "2026-11-23T10:10", "2026-11-23T11:00", transparency="transparent")
    calendar.add("Free", "2026-11-23T10:00", "2026-11-23T11:00", transparency="transparent")

    made = await call("create_event", title="Dentist", **AT)

    assert [(one["kind"], one["untrusted_title"]) for one in made["clashes"]] == [
        ("duplicate", "dentist "),
        ("conflict", "Stand-up"),
    ]
    assert len(calendar.events()) == 4


async def test_nothing_is_made_over_another_event_when_so_asked(
    client: Client[Any], calendar: Any
) -> None:
    other = calendar.add("Secret plan", "2026-11-30T10:30", "2026-11-30T10:45")
    series = {"title": "Gym", **AT, "recurrence": ["FREQ=WEEKLY"], "on_conflict": "block"}

    with pytest.raises(ToolError, match=other["id"]) as refused:
        await client.call_tool("create_event", series)

    assert "Secret plan" not in str(refused.value)
    assert len(calendar.events()) == 1


@pytest.mark.parametrize("acted", [True, False])
async def test_a_lost_answer_makes_one_event(
    call: Call, calendar: Any, google: FakeGoogle, acted: bool
) -> None:
    google.faults.next("calendar.events.insert", cut=True, acted=acted)

    made = await call("create_event", title="Dentist", **AT)

    assert [one["id"] for one in calendar.events()] == [made["event_id"]]


async def test_answers_that_stay_lost_are_looked_up(
    call: Call, calendar: Any, google: FakeGoogle, client: Client[Any]
) -> None:
    google.faults.next("calendar.events.insert", status=503, retry_after=0, times=9)
    with pytest.raises(ToolError, match="the event was not made"):
        await client.call_tool("create_event", {"title": "Dentist", **AT})
    google.faults.clear()

    assert calendar.events() == []


async def test_the_same_call_again_makes_no_second_event(
    client: Client[Any], calendar: Any
) -> None:
    meta = {"flotilla/call_id": "call_1"}
    for _ in range(2):
        await client.call_tool("create_event", {"title": "Dentist", **AT}, meta=meta)

    assert len(calendar.events()) == 1


async def test_a_meeting_link_is_made(call: Call, calendar: Any) -> None:
    made = await call("create_event", title="Call", **AT, add_meet=True)

    assert made["event"]["untrusted_conference_url"].startswith("https://meet.google.com/")
