"""What is read fits into a result, whatever strangers write, and says what is not in it."""

from typing import Any

import pytest
from fastmcp.exceptions import ToolError

from tests.servers.google_calendar.conftest import ANNA, Call


async def test_an_event_of_strangers_is_readable_however_long(call: Call, calendar: Any) -> None:
    people = [
        {"email": f"p{n}@example.net", "displayName": "名" * 200, "comment": "言" * 900}
        for n in range(199)
    ]
    stamps = ",".join(f"2027{m:02}{d:02}T120000" for m in range(1, 13) for d in range(1, 28))
    made = calendar.add(
        "題" * 1_000, "2026-11-23T12:00", "2026-11-23T13:00",
        description='"語' * 4_100, location="所" * 900, attendees=[ANNA, *people],
        recurrence=["RRULE:FREQ=DAILY", f"EXDATE;TZID=Europe/Berlin:{stamps}"],
    )  # fmt: skip

    read = await call("get_event", event_id=made["id"])

    assert len(read["others"]) == 199
    assert read["attendees"]
    assert read["description_truncated"]
    assert len(read["event"]["untrusted_description"]) > 1_000
    assert read["recurrence"][0] == "RRULE:FREQ=DAILY"
    assert len(read["recurrence"][1]) < 100


async def test_pages_of_long_events_hold_all_of_them_once(call: Call, calendar: Any) -> None:
    other = calendar.add_calendar("Other")
    for number in range(60):
        calendar.add(
            f"{number} " + "題" * 300, "2026-11-02T12:00", f"2026-11-{16 + number % 9}T13:00",
            description="語" * 900, location="所" * 900,
            calendar=other if number % 2 else "primary",
        )  # fmt: skip

    asked: dict[str, Any] = {"start": "2026-11-01", "end": "2026-12-01", "limit": 100}
    page = await call("agenda", **asked, detail="full")
    seen = [one["event_id"] for one in page["items"]]
    while page["next_cursor"]:
        page = await call("agenda", start="2026-11-01", detail="full", cursor=page["next_cursor"])
        seen += [one["event_id"] for one in page["items"]]

    assert len(seen) == len(set(seen)) == 60


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Pacific/Auckland"])
async def test_a_whole_day_is_on_its_day_in_every_zone(
    call: Call, calendar: Any, zone: str
) -> None:
    for day in (22, 23, 24):
        calendar.add(str(day), f"2026-11-{day}", f"2026-11-{day + 1}")

    day = await call("agenda", start="2026-11-23", zone=zone)

    assert [one["untrusted_title"] for one in day["items"]] == ["23"]


async def test_calendars_on_display_that_are_not_looked_at_are_told(
    call: Call, calendar: Any
) -> None:
    calendar.add_calendar("Bo", role="freeBusyReader")
    for number in range(52):
        calendar.add_calendar(str(number))

    agenda = await call("agenda", start="2026-11-23")

    busy_only, more = agenda["notes"]
    assert "Of 1 calendars on display only busy times" in busy_only
    assert more.startswith("3 more calendars are on display")


@pytest.mark.parametrize(
    ("tool", "arguments", "advice"),
    [
        ("agenda", {"start": "2026-11-23", "calendar_ids": ["Work"]}, "see list_calendars"),
        ("agenda", {"start": "2026-11-23", "end": "2026-11-23"}, "for one day, the next"),
        (
            "free_time",
            {
                "start": "2026-11-23",
                "end": "2026-11-25",
                "duration_min": 30,
                "working_hours": "22:00-06:00",
            },
            "22:00-24:00 and 00:00-06:00",
        ),
    ],
)
async def test_a_refusal_says_what_to_write(
    call: Call, tool: str, arguments: dict[str, Any], advice: str
) -> None:
    with pytest.raises(ToolError, match=advice):
        await call(tool, **arguments)
