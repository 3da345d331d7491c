"""Splits that are cut off or made twice, and series whose occurrences have people of their own."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.fakes.google import FakeGoogle
from tests.fakes.google.faults import Fault
from tests.servers.google_calendar.conftest import ANNA, Call
from tests.servers.google_calendar.test_writing import BO, seen


@pytest.fixture
def gym(calendar: Any) -> dict[str, Any]:
    """Mondays at seven, six times."""
    return calendar.add(
        "Gym", "2026-10-05T07:00", "2026-10-05T08:00", recurrence=["RRULE:FREQ=WEEKLY;COUNT=6"]
    )


def split_at_third(calendar: Any, gym: dict[str, Any]) -> dict[str, str]:
    return {**seen(calendar.occurrences(gym["id"])[2]), "title": "Swim", "scope": "following"}


def titles(calendar: Any) -> list[str]:
    """Of all occurrences there are."""
    series = [one for one in calendar.events() if one.get("recurrence")]
    return sorted(one["summary"] for each in series for one in calendar.occurrences(each["id"]))


async def test_a_split_made_several_times_at_once_is_one_split(
    client: Client[Any], calendar: Any, gym: dict[str, Any]
) -> None:
    arguments = split_at_third(calendar, gym)
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(client.call_tool("update_event", arguments, raise_on_error=False))

    assert titles(calendar) == ["Gym"] * 2 + ["Swim"] * 4


@pytest.mark.parametrize("reads_lost", [4, 8])
async def test_what_may_have_been_ended_is_not_taken_back_unseen(
    client: Client[Any],
    calendar: Any,
    google: FakeGoogle,
    gym: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    reads_lost: int,
) -> None:
    google.faults.next("calendar.events.patch", cut=True, acted=True)
    take, left = google.faults.take, [reads_lost]

    def reads_fail_after_the_patch(method: str) -> Fault | None:
        if method == "calendar.events.get" and google.count("calendar.events.patch") and left[0]:
            left[0] -= 1
            return Fault(503, retry_after="0")
        return take(method)

    monkeypatch.setattr(google.faults, "take", reads_fail_after_the_patch)
    arguments = split_at_third(calendar, gym)
    if reads_lost > 4:
        with pytest.raises(ToolError, match="was perhaps not ended"):
            await client.call_tool("update_event", arguments)
    else:
        await client.call_tool("update_event", arguments)

    assert titles(calendar) == ["Gym"] * 2 + ["Swim"] * 4


@pytest.mark.parametrize("scope", ["all", "following"])
async def test_people_of_single_occurrences_count_as_people_of_the_series(
    client: Client[Any], calendar: Any, gym: dict[str, Any], scope: str
) -> None:
    first, fourth = (calendar.occurrences(gym["id"])[number] for number in (0, 3))
    people = [{"email": ANNA, "self": True}, {"email": BO}]
    calendar.primary.keep({**fourth, "attendees": people})

    with pytest.raises(ToolError, match="use update_meeting"):
        await client.call_tool("update_event", {**seen(first), "scope": scope, "title": "Swim"})
    with pytest.raises(ToolError, match=f"Missing: {BO}"):
        await client.call_tool("delete_event", {**seen(first), "scope": scope, "notify": "all"})
    fifth = calendar.occurrences(gym["id"])[4]
    await client.call_tool("update_event", {**seen(fifth), "scope": "following", "title": "Swim"})

    assert titles(calendar) == ["Gym"] * 4 + ["Swim"] * 2


async def test_every_second_week_moves_with_its_weekdays(call: Call, calendar: Any) -> None:
    rule = "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;COUNT=6"
    made = calendar.add("Gym", "2026-10-05T07:00", "2026-10-05T08:00", recurrence=[rule])

    def days() -> list[int]:
        found = calendar.occurrences(made["id"])
        return [datetime.fromisoformat(one["start"]["dateTime"]).toordinal() for one in found]

    before = days()
    await call("update_event", **seen(made), scope="all", start="2026-10-06T07:00")

    assert days() == [day + 1 for day in before]
