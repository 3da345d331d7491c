"""Events that change: of the version that was seen, and with others only as approved."""

from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from tests.fakes.google import FakeGoogle
from tests.servers.google_calendar.conftest import ANNA, Call

BO = "bo@example.net"
CY = "cy@example.org"


def seen(event: dict[str, Any]) -> dict[str, str]:
    """An event as a call names it."""
    return {"event_id": event["id"], "etag": event["etag"].strip('"')}


@pytest.fixture
def lunch(calendar: Any) -> dict[str, Any]:
    return calendar.add("Lunch", "2026-11-23T12:00", "2026-11-23T13:00", location="Canteen")


@pytest.fixture
def meeting(calendar: Any) -> dict[str, Any]:
    return calendar.add(
        "Plan", "2026-11-23T12:00", "2026-11-23T13:00", attendees=[ANNA, BO, CY], description="Old"
    )


@pytest.fixture
def invitation(calendar: Any) -> dict[str, Any]:
    return calendar.add(
        "Talk", "2026-11-23T12:00", "2026-11-23T13:00", attendees=[ANNA, BO], organizer=BO
    )


async def test_a_new_start_keeps_the_length_and_can_be_undone(
    client: Client[Any], calendar: Any, lunch: dict[str, Any], asked: list[str]
) -> None:
    changes = {"start": "2026-11-24T15:00", "title": "Late lunch", "location": ""}
    moved = await client.call_tool("update_event", {**seen(lunch), **changes})

    now = calendar.event(lunch["id"])
    assert now["start"]["dateTime"] == "2026-11-24T15:00:00+01:00"
    assert now["end"]["dateTime"] == "2026-11-24T16:00:00+01:00"
    assert (now["summary"], now.get("location")) == ("Late lunch", None)
    assert "Event: Lunch" in asked[0]
    assert "When: 2026-11-23T12:00:00+01:00 to 2026-11-23T13:00:00+01:00" in asked[0]
    assert "New start: 2026-11-24T15:00" in asked[0]
    undo = (moved.meta or {})["flotilla/undo"]
    await client.call_tool(undo["tool"], undo["arguments"])
    now = calendar.event(lunch["id"])
    assert now["start"]["dateTime"][:16] == lunch["start"]["dateTime"][:16]
    assert (now["summary"], now["location"]) == ("Lunch", "Canteen")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_event", {"title": "Mine"}),
        ("delete_event", {}),
        ("invite", {"attendees": [BO]}),
        ("move_event", {"to_calendar": "x@group.calendar.google.com"}),
    ],
)
async def test_what_was_changed_since_it_was_read_is_left_as_it_is(
    client: Client[Any],
    calendar: Any,
    google: FakeGoogle,
    lunch: dict[str, Any],
    tool: str,
    arguments: dict[str, Any],
) -> None:
    old = seen(lunch)
    calendar.primary.keep({**lunch, "summary": "Theirs"})

    with pytest.raises(ToolError, match="changed since you read it"):
        await client.call_tool(tool, {**old, **arguments})

    assert calendar.event(lunch["id"])["summary"] == "Theirs"
    assert google.invitations == []


async def test_a_writer_in_between_is_not_overwritten(
    call: Call, calendar: Any, lunch: dict[str, Any]
) -> None:
    real = calendar.primary.find

    def changed_between(event_id: str) -> dict[str, Any]:
        found = dict(real(event_id))
        calendar.primary.keep(real(event_id))
        return found

    calendar.primary.find = changed_between
    with pytest.raises(ToolError, match="changed"):
        await call("update_event", **seen(lunch), title="Mine")
    calendar.primary.find = real

    assert calendar.event(lunch["id"])["summary"] == "Lunch"


@pytest.mark.parametrize("acted", [True, False])
async def test_a_lost_answer_to_a_change_is_looked_up(
    client: Client[Any], calendar: Any, google: FakeGoogle, lunch: dict[str, Any], acted: bool
) -> None:
    google.faults.next("calendar.events.patch", cut=True, acted=acted)
    arguments = {**seen(lunch), "title": "Late", "start": "2026-11-23T14:00"}

    if acted:
        result = await client.call_tool("update_event", arguments)
        assert result.structured_content["event"]["untrusted_title"] == "Late"
    else:
        with pytest.raises(ToolError, match="nothing was changed"):
            await client.call_tool("update_event", arguments)

    assert calendar.event(lunch["id"])["summary"] == ("Late" if acted else "Lunch")


async def test_an_event_becomes_a_series_and_single_again(
    client: Client[Any], calendar: Any, lunch: dict[str, Any]
) -> None:
    arguments = {**seen(lunch), "recurrence": ["FREQ=DAILY;COUNT=3"]}
    made = await client.call_tool("update_event", arguments)

    assert len(calendar.occurrences(lunch["id"])) == 3
    undo = (made.meta or {})["flotilla/undo"]
    await client.call_tool(undo["tool"], undo["arguments"])
    assert not calendar.event(lunch["id"]).get("recurrence")


async def test_an_event_with_others_is_not_changed_as_if_it_were_ones_own(
    client: Client[Any], google: FakeGoogle, meeting: dict[str, Any]
) -> None:
    with pytest.raises(ToolError, match="use update_meeting"):
        await client.call_tool("update_event", {**seen(meeting), "title": "Mine"})
    with pytest.raises(ToolError, match=f"Missing: {BO}, {CY}"):
        await client.call_tool("delete_event", seen(meeting))
    arguments = {**seen(meeting), "attendees": [BO, "eve@example.net"], "title": "Mine"}
    with pytest.raises(ToolError, match=rf"Missing: {CY}.*Not in it: eve@example.net"):
        await client.call_tool("update_meeting", arguments)

    assert google.invitations == []


@pytest.mark.parametrize(("notify", "told"), [("none", []), ("external", [BO]), ("all", [BO, CY])])
async def test_only_those_are_told_who_were_approved(
    call: Call,
    google: FakeGoogle,
    meeting: dict[str, Any],
    asked: list[str],
    notify: str,
    told: list[str],
) -> None:
    changed = await call(
        "update_meeting", **seen(meeting), attendees=[BO, CY], notify=notify, title="New plan"
    )

    assert changed["notified"] == told
    assert [one.recipients for one in google.invitations] == ([told] if told else [])
    assert changed["notes"] == ([] if told else ["Nobody was told: 2 others are in it."])
    assert f"With: {BO}, {CY}" in asked[0]
    assert ("nobody gets mail" in asked[0]) == (notify == "none")


async def test_people_are_invited_by_mail_and_taken_out(
    call: Call, calendar: Any, google: FakeGoogle, lunch: dict[str, Any], asked: list[str]
) -> None:
    invited = await call("invite", **seen(lunch), attendees=[BO, "CY@example.org"])

    people = calendar.event(lunch["id"])["attendees"]
    assert [(one["email"], one["responseStatus"]) for one in people] == [
        (ANNA, "accepted"), (BO, "needsAction"), (CY, "needsAction")
    ]  # fmt: skip
    assert google.invitations[0].recipients == [BO, CY]
    assert "Event: Lunch" in asked[0]
    assert f"Invites: {BO}, CY@example.org" in asked[0]

    await call(
        "update_meeting", event_id=lunch["id"], etag=invited["etag"], attendees=[BO, CY],
        uninvite=[CY],
    )  # fmt: skip

    assert [one["email"] for one in calendar.event(lunch["id"])["attendees"]] == [ANNA, BO]


async def test_a_meeting_is_cancelled_for_all(
    call: Call, calendar: Any, google: FakeGoogle, meeting: dict[str, Any]
) -> None:
    gone = await call("delete_event", **seen(meeting), attendees=[BO, CY], notify="all")

    assert calendar.events() == []
    assert gone["notified"] == [BO, CY]
    assert [one.kind for one in google.invitations] == ["cancel"]


async def test_a_lost_answer_to_a_deletion_is_no_error(
    call: Call, calendar: Any, google: FakeGoogle, lunch: dict[str, Any]
) -> None:
    google.faults.next("calendar.events.delete", cut=True, acted=True)

    await call("delete_event", **seen(lunch))

    assert calendar.events() == []


async def test_an_invitation_is_answered_to_its_organizer(
    client: Client[Any], calendar: Any, google: FakeGoogle, invitation: dict[str, Any]
) -> None:
    with pytest.raises(ToolError, match="the organizer is 'bo@"):
        await client.call_tool(
            "respond", {**seen(invitation), "response": "accepted", "organizer": CY}
        )
    arguments = {**seen(invitation), "response": "declined", "organizer": BO, "comment": "Ill"}
    done = await client.call_tool("respond", arguments)

    own = next(one for one in calendar.event(invitation["id"])["attendees"] if one.get("self"))
    assert (own["responseStatus"], own["comment"]) == ("declined", "Ill")
    assert done.structured_content["notified"] == [BO]
    assert [(one.kind, one.recipients) for one in google.invitations] == [("reply", [BO])]
    assert "flotilla/undo" not in (done.meta or {})


async def test_an_answer_can_be_taken_back(
    client: Client[Any], calendar: Any, invitation: dict[str, Any]
) -> None:
    arguments = {**seen(invitation), "response": "accepted", "organizer": BO}
    done = await client.call_tool("respond", arguments)
    arguments |= {"response": "declined", "etag": done.structured_content["etag"]}
    done = await client.call_tool("respond", arguments)

    undo = (done.meta or {})["flotilla/undo"]
    await client.call_tool(undo["tool"], undo["arguments"])

    own = next(one for one in calendar.event(invitation["id"])["attendees"] if one.get("self"))
    assert own["responseStatus"] == "accepted"


@pytest.mark.parametrize("is_lost", [False, True])
async def test_an_event_moves_to_another_calendar_and_back(
    client: Client[Any],
    calendar: Any,
    google: FakeGoogle,
    lunch: dict[str, Any],
    is_lost: bool,
) -> None:
    other = calendar.add_calendar("Private")
    if is_lost:
        google.faults.next("calendar.events.move", cut=True, acted=True)

    moved = await client.call_tool("move_event", {**seen(lunch), "to_calendar": other})

    assert [one["summary"] for one in calendar.events(other)] == ["Lunch"]
    undo = (moved.meta or {})["flotilla/undo"]
    await client.call_tool(undo["tool"], undo["arguments"])
    assert calendar.events(other) == []
