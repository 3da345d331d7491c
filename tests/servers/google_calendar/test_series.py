"""Series that change: one occurrence, from one on, or all, and what happens in between."""

from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.fakes.google import FakeGoogle
from tests.servers.google_calendar.conftest import ANNA, Call
from tests.servers.google_calendar.test_writing import BO, seen


@pytest.fixture
def gym(calendar: Any) -> dict[str, Any]:
    """Mondays at seven, six times; Daylight saving ends after the third."""
    return calendar.add(
        "Gym", "2026-10-05T07:00", "2026-10-05T08:00", recurrence=["RRULE:FREQ=WEEKLY;COUNT=6"]
    )


def starts(calendar: Any, series_id: str) -> list[str]:
    return [one["start"]["dateTime"] for one in calendar.occurrences(series_id)]


def occurrence(calendar: Any, gym: dict[str, Any], number: int) -> dict[str, Any]:
    return calendar.occurrences(gym["id"])[number]


async def test_one_occurrence_moves_alone_and_back(
    client: Client[Any], calendar: Any, gym: dict[str, Any]
) -> None:
    third = occurrence(calendar, gym, 2)
    moved = await client.call_tool(
        "update_event", {**seen(third), "start": "2026-10-20T18:00", "scope": "this"}
    )

    assert starts(calendar, gym["id"])[1:4] == [
        "2026-10-12T07:00:00+02:00", "2026-10-20T18:00:00+02:00", "2026-10-26T07:00:00+01:00"
    ]  # fmt: skip
    undo = (moved.meta or {})["flotilla/undo"]
    assert undo["arguments"]["scope"] == "this"
    await client.call_tool(undo["tool"], undo["arguments"])
    assert starts(calendar, gym["id"])[2] == "2026-10-19T07:00:00+02:00"


async def test_all_of_a_series_moves_by_as_much_as_the_one_and_back(
    client: Client[Any], calendar: Any, gym: dict[str, Any]
) -> None:
    calendar.primary.keep({**gym, "recurrence": [
        "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20261109T060000Z",
        "EXDATE;TZID=Europe/Berlin:20261012T070000",
    ]})  # fmt: skip
    fourth = occurrence(calendar, gym, 2)

    moved = await client.call_tool(
        "update_event", {**seen(fourth), "start": "2026-10-27T09:00", "scope": "all"}
    )

    assert starts(calendar, gym["id"]) == [
        "2026-10-06T09:00:00+02:00", "2026-10-20T09:00:00+02:00", "2026-10-27T09:00:00+01:00",
        "2026-11-03T09:00:00+01:00", "2026-11-10T09:00:00+01:00",
    ]  # fmt: skip
    undo = (moved.meta or {})["flotilla/undo"]
    await client.call_tool(undo["tool"], undo["arguments"])
    assert starts(calendar, gym["id"])[:2] == [
        "2026-10-05T07:00:00+02:00", "2026-10-19T07:00:00+02:00"
    ]  # fmt: skip


async def test_an_occurrence_that_was_deleted_stays_deleted_when_the_series_moves(
    call: Call, calendar: Any, gym: dict[str, Any]
) -> None:
    await call("delete_event", **seen(occurrence(calendar, gym, 1)))
    special = occurrence(calendar, gym, 3)
    calendar.primary.keep({**special, "summary": "Sauna"})

    done = await call(
        "update_event", **seen(occurrence(calendar, gym, 0)), start="2026-10-05T09:00", scope="all"
    )

    assert "2026-10-12T09:00:00+02:00" not in starts(calendar, gym["id"])
    assert starts(calendar, gym["id"])[:2] == [
        "2026-10-05T09:00:00+02:00", "2026-10-19T09:00:00+02:00"
    ]  # fmt: skip
    assert "2026-11-02T07:00:00+01:00" in done["notes"][0]


async def test_another_rule_brings_no_deleted_occurrence_back(
    call: Call, calendar: Any, gym: dict[str, Any]
) -> None:
    calendar.primary.keep({**gym, "recurrence": [
        "RRULE:FREQ=WEEKLY", "EXDATE;TZID=Europe/Berlin:20261012T070000,20261019T070000",
        "RDATE;TZID=Europe/Berlin:20261007T070000",
    ]})  # fmt: skip

    done = await call(
        "update_event", **seen(calendar.event(gym["id"])), scope="all",
        recurrence=["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3"],
    )  # fmt: skip

    assert calendar.event(gym["id"])["recurrence"] == [
        "RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=3",
        "EXDATE;TZID=Europe/Berlin:20261019T070000",
    ]
    assert len(done["notes"]) == 2


async def test_a_series_is_split(
    client: Client[Any], calendar: Any, google: FakeGoogle, gym: dict[str, Any], asked: list[str]
) -> None:
    deleted, special = occurrence(calendar, gym, 3), occurrence(calendar, gym, 4)
    calendar.primary.keep({**deleted, "status": "cancelled"})
    calendar.primary.keep({**special, "summary": "Sauna"})
    third = occurrence(calendar, gym, 2)

    done = await client.call_tool(
        "update_event", {**seen(third), "start": "2026-10-19T09:00", "scope": "following"}
    )

    new = done.structured_content["event_id"]
    assert starts(calendar, gym["id"]) == ["2026-10-05T07:00:00+02:00", "2026-10-12T07:00:00+02:00"]
    assert starts(calendar, new) == [
        "2026-10-19T09:00:00+02:00", "2026-11-02T09:00:00+01:00", "2026-11-09T09:00:00+01:00"
    ]  # fmt: skip
    assert "2026-11-02T07:00:00+01:00" in done.structured_content["notes"][1]
    assert "this occurrence and all after it" in asked[0]
    assert "2026-11-02T07:00:00+01:00" in asked[0]
    assert "flotilla/undo" not in (done.meta or {})


async def test_from_the_first_on_is_all_of_a_series(
    call: Call, calendar: Any, gym: dict[str, Any]
) -> None:
    first = occurrence(calendar, gym, 0)

    done = await call("update_event", **seen(first), title="Swim", scope="following")

    assert done["event_id"] == gym["id"]
    assert [one["summary"] for one in calendar.events()] == ["Swim"]


async def test_a_split_that_was_cut_off_is_finished_by_the_same_call(
    client: Client[Any], calendar: Any, google: FakeGoogle, gym: dict[str, Any]
) -> None:
    third = occurrence(calendar, gym, 2)
    arguments = {**seen(third), "title": "Swim", "scope": "following"}
    # As if the process had died between the two writes: neither patch nor delete arrived.
    google.faults.next("calendar.events.patch", status=503)
    google.faults.next("calendar.events.delete", status=503, retry_after=0, times=4)

    with pytest.raises(ToolError, match=r"Half of it was done.*Make the same call again"):
        await client.call_tool("update_event", arguments)
    assert len(calendar.events()) == 2
    await client.call_tool("update_event", arguments)

    old, new = sorted(calendar.events(), key=lambda one: one["start"]["dateTime"])
    assert len(starts(calendar, old["id"])) == 2
    assert (len(starts(calendar, new["id"])), new["summary"]) == (4, "Swim")


async def test_a_split_whose_second_write_fails_leaves_the_series_as_it_was(
    client: Client[Any], calendar: Any, google: FakeGoogle, gym: dict[str, Any]
) -> None:
    third = occurrence(calendar, gym, 2)
    google.faults.next("calendar.events.patch", status=412)

    with pytest.raises(ToolError, match="changed meanwhile"):
        await client.call_tool("update_event", {**seen(third), "title": "X", "scope": "following"})

    assert [one["id"] for one in calendar.events()] == [gym["id"]]
    assert len(starts(calendar, gym["id"])) == 6
    await client.call_tool("update_event", {**seen(third), "title": "X", "scope": "following"})
    assert sorted(one["summary"] for one in calendar.events()) == ["Gym", "X"]


async def test_a_lost_answer_to_the_end_of_the_old_series_is_looked_up(
    call: Call, calendar: Any, google: FakeGoogle, gym: dict[str, Any]
) -> None:
    google.faults.next("calendar.events.patch", cut=True, acted=True)

    await call("update_event", **seen(occurrence(calendar, gym, 2)), title="X", scope="following")

    assert sorted(len(starts(calendar, one["id"])) for one in calendar.events()) == [2, 4]


async def test_a_meeting_is_split_with_its_people(
    call: Call, calendar: Any, google: FakeGoogle
) -> None:
    plan = calendar.add(
        "Plan", "2026-10-05T07:00", "2026-10-05T08:00", attendees=[ANNA, BO],
        recurrence=["RRULE:FREQ=WEEKLY"],
    )  # fmt: skip

    done = await call(
        "update_meeting", **seen(occurrence(calendar, plan, 2)), attendees=[BO], notify="all",
        scope="following", title="Plan B",
    )  # fmt: skip

    assert [one["email"] for one in calendar.event(done["event_id"])["attendees"]] == [ANNA, BO]
    assert done["notified"] == [BO]
    assert [(one.kind, one.recipients) for one in google.invitations] == [
        ("invite", [BO]), ("update", [BO])
    ]  # fmt: skip


@pytest.mark.parametrize(("scope", "left"), [("this", 5), ("following", 2), ("all", 0)])
async def test_a_series_is_deleted_as_far_as_asked(
    call: Call, calendar: Any, gym: dict[str, Any], scope: str, left: int
) -> None:
    await call("delete_event", **seen(occurrence(calendar, gym, 2)), scope=scope)

    remaining = starts(calendar, gym["id"]) if calendar.events() else []
    assert len(remaining) == left


async def test_a_series_is_not_taken_for_one_occurrence(
    client: Client[Any], calendar: Any, gym: dict[str, Any]
) -> None:
    with pytest.raises(ToolError, match="is a whole series"):
        await client.call_tool("delete_event", seen(gym))
    third = occurrence(calendar, gym, 2)
    with pytest.raises(ToolError, match="pass its series_id"):
        await client.call_tool("move_event", {**seen(third), "to_calendar": "x"})
    with pytest.raises(ToolError, match="recurrence is of the whole series"):
        await client.call_tool("update_event", {**seen(third), "recurrence": ["FREQ=DAILY"]})

    assert len(starts(calendar, gym["id"])) == 6


async def test_a_half_split_of_an_earlier_call_is_taken_over_with_the_changes_of_the_new_one(
    client: Client[Any], calendar: Any, google: FakeGoogle, gym: dict[str, Any]
) -> None:
    third = occurrence(calendar, gym, 2)
    google.faults.next("calendar.events.patch", status=503)
    google.faults.next("calendar.events.delete", status=503, retry_after=0, times=4)
    arguments = {**seen(third), "scope": "following"}
    with pytest.raises(ToolError, match="Half of it was done"):
        await client.call_tool("update_event", {**arguments, "title": "Swim"})

    await client.call_tool("update_event", {**arguments, "title": "Row"})

    assert sorted(one["summary"] for one in calendar.events()) == ["Gym", "Row"]
    assert sorted(len(starts(calendar, one["id"])) for one in calendar.events()) == [2, 4]
