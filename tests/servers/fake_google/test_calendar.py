"""Calendar in the fake, seen by Google's own client."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from tests.fakes.google import FakeGoogle
from tests.fakes.google.calendars import PersonsCalendars
from tests.servers.fake_google.conftest import ANNA, CALENDAR_SCOPE, Client

WEEKLY = "RRULE:FREQ=WEEKLY;BYDAY=FR"


@pytest.fixture
def service(client: Client) -> Any:
    return client("calendar.v3", CALENDAR_SCOPE)


@pytest.fixture
def calendar(google: FakeGoogle) -> PersonsCalendars:
    google.clock = lambda: datetime(2026, 10, 1, 12, tzinfo=UTC)
    return google.person(ANNA).calendar


def refusal(request: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        request.execute()
    error = json.loads(caught.value.content)["error"]
    return caught.value.status_code, error["errors"][0]["reason"]


def timed(start: str, end: str, zone: str | None = "Europe/Berlin", **fields: Any) -> Any:
    more = {} if zone is None else {"timeZone": zone}
    return {"start": {"dateTime": start, **more}, "end": {"dateTime": end, **more}, **fields}


def lunch(**fields: Any) -> Any:
    return timed("2026-10-16T12:00:00", "2026-10-16T13:00:00", **{"summary": "Lunch"} | fields)


def starts(answer: Any) -> list[str]:
    return [one["start"].get("dateTime") or one["start"]["date"] for one in answer["items"]]


def expanded(service: Any, **parameters: Any) -> Any:
    window = {"timeMin": "2026-10-01T00:00:00Z", "timeMax": "2026-11-15T00:00:00Z"}
    return service.events().list(
        calendarId="primary", singleEvents=True, orderBy="startTime", **window | parameters
    )  # fmt: skip


def test_a_series_keeps_its_hour_when_the_clocks_change(
    calendar: PersonsCalendars, service: Any
) -> None:
    series = calendar.add(
        "Jour fixe", "2026-10-16T09:00:00", "2026-10-16T10:00:00",
        recurrence=["RRULE:FREQ=WEEKLY;UNTIL=20261113T080000Z",
                    "EXDATE;TZID=Europe/Berlin:20261106T090000"],
    )  # fmt: skip
    answer = expanded(service).execute()
    assert starts(answer) == [
        "2026-10-16T09:00:00+02:00",
        "2026-10-23T09:00:00+02:00",
        "2026-10-30T09:00:00+01:00",
        "2026-11-13T09:00:00+01:00",
    ]
    ids = [one["id"].removeprefix(series["id"]) for one in answer["items"]]
    assert ids[1:3] == ["_20261023T070000Z", "_20261030T080000Z"]
    assert {one["recurringEventId"] for one in answer["items"]} == {series["id"]}
    elsewhere = expanded(service, timeZone="America/New_York", maxResults=1).execute()
    assert starts(elsewhere) == ["2026-10-16T03:00:00-04:00"]
    assert elsewhere["items"][0]["start"]["timeZone"] == "Europe/Berlin"


def test_one_occurrence_is_moved_and_another_cancelled(
    calendar: PersonsCalendars, service: Any
) -> None:
    series = calendar.add("Gym", "2026-10-16T18:00:00", "2026-10-16T19:00:00", recurrence=[WEEKLY])
    events = service.events()
    first, second = (f"{series['id']}_202610{day}T160000Z" for day in (16, 23))
    body = timed("2026-10-17T10:00:00+02:00", "2026-10-17T11:00:00+02:00", None)
    moved = events.patch(calendarId="primary", eventId=first, body=body).execute()
    assert moved["originalStartTime"]["dateTime"] == "2026-10-16T18:00:00+02:00"
    events.delete(calendarId="primary", eventId=second).execute()

    assert starts(expanded(service, timeMax="2026-11-01T00:00:00Z").execute()) == [
        "2026-10-17T10:00:00+02:00",
        "2026-10-30T18:00:00+01:00",
    ]
    plain = events.list(calendarId="primary").execute()["items"]
    assert [(one["id"], one["status"]) for one in plain] == [
        (series["id"], "confirmed"),
        (first, "confirmed"),
        (second, "cancelled"),
    ]
    assert "start" not in plain[2]
    window = {"timeMin": "2026-10-17T07:00:00Z", "timeMax": "2026-10-17T12:00:00Z"}
    assert starts(expanded(service, **window).execute()) == ["2026-10-17T10:00:00+02:00"]
    instances = events.instances(calendarId="primary", eventId=series["id"], maxResults=2)
    assert len(instances.execute()["items"]) == 2
    assert refusal(
        events.get(calendarId="primary", eventId=f"{series['id']}_20261017T160000Z")
    ) == (
        404,
        "notFound",
    )
    again = events.delete(calendarId="primary", eventId=second)
    assert refusal(again) == (410, "deleted")
    back = {"status": "confirmed"}
    events.patch(calendarId="primary", eventId=second, body=back).execute()
    assert len(calendar.occurrences(series["id"])) > 10
    events.delete(calendarId="primary", eventId=series["id"]).execute()
    assert not expanded(service).execute()["items"]


def test_whole_days_have_no_time(calendar: PersonsCalendars, service: Any) -> None:
    calendar.add("Trip", date(2026, 10, 24), date(2026, 10, 26))
    series = calendar.add(
        "Bins", date(2026, 10, 5), date(2026, 10, 6), recurrence=["RRULE:FREQ=MONTHLY;COUNT=2"]
    )
    found = expanded(service).execute()["items"]
    assert [one["start"] for one in found] == [
        {"date": "2026-10-05"},
        {"date": "2026-10-24"},
        {"date": "2026-11-05"},
    ]
    assert found[2]["id"] == f"{series['id']}_20261105"
    timed_start = {"start": {"dateTime": "2026-10-24T09:00:00+02:00"}}
    change = service.events().patch(calendarId="primary", eventId=found[1]["id"], body=timed_start)
    assert refusal(change)[0] == 400


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (timed("2026-10-16T12:00:00", "2026-10-16T13:00:00", None), "required"),
        (timed("2026-10-16T12:00:00", "2026-10-16T11:00:00"), "timeRangeEmpty"),
        (timed("2026-10-16T12:00:00", "2026-10-16T13:00:00", "Mars/Base"), "invalid"),
        ({"start": {"date": "2026-10-16"}}, "required"),
        ({"start": {"date": "2026-10-16"}, "end": {"date": "2026-10-16"}}, "timeRangeEmpty"),
        (lunch(recurrence=["RRULE:FREQ=SOMETIMES"]), "invalid"),
        (lunch(recurrence=["EXDATE:20261016T100000Z"]), "invalid"),
        (timed("2026-10-16T12:00:00Z", "2026-10-16T13:00:00Z", None, recurrence=[WEEKLY]),
         "required"),
        (lunch(attendees=[{"email": "nobody"}]), "invalid"),
        (lunch(attendees=[{"email": "a@b.org", "responseStatus": "maybe"}]), "invalid"),
        (lunch(id="UPPER"), "invalid"),
        (lunch(title="Lunch"), "invalid"),
        (lunch(reminders={"useDefault": "no"}), "invalid"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(service: Any, body: Any, reason: str) -> None:
    assert refusal(service.events().insert(calendarId="primary", body=body)) == (400, reason)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"orderBy": "startTime"}, (400, "invalid")),
        ({"timeMin": "2026-10-02T00:00:00Z", "timeMax": "2026-10-01T00:00:00Z"},
         (400, "timeRangeEmpty")),
        ({"timeMin": "2026-10-02T00:00:00"}, (400, "invalid")),
        ({"maxResults": 0}, (400, "invalidParameter")),
        ({"syncToken": "sync-1", "q": "x"}, (400, "invalid")),
        ({"calendarId": "x@example.org"}, (404, "notFound")),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(
    service: Any, parameters: Any, expected: tuple[int, str]
) -> None:
    request = service.events().list(**{"calendarId": "primary"} | parameters)
    assert refusal(request) == expected


def test_an_id_of_ones_own_is_taken_once(service: Any, calendar: PersonsCalendars) -> None:
    events = service.events()
    made = events.insert(calendarId="primary", body=lunch(id="lunch0")).execute()
    assert made["start"]["dateTime"] == "2026-10-16T12:00:00+02:00"
    assert refusal(events.insert(calendarId="primary", body=lunch(id="lunch0"))) == (
        409,
        "duplicate",
    )
    events.delete(calendarId="primary", eventId="lunch0").execute()
    assert refusal(events.insert(calendarId="primary", body=lunch(id="lunch0"))) == (
        409,
        "duplicate",
    )
    assert not calendar.events()


def test_a_change_is_refused_to_who_saw_an_older_event(service: Any) -> None:
    events = service.events()
    made = events.insert(calendarId="primary", body=lunch()).execute()
    change = events.patch(calendarId="primary", eventId=made["id"], body={"summary": "Brunch"})
    change.headers["If-Match"] = made["etag"]
    changed = change.execute()
    assert changed["etag"] != made["etag"]
    for request in (change, events.delete(calendarId="primary", eventId=made["id"])):
        request.headers["If-Match"] = made["etag"]
        assert refusal(request) == (412, "conditionNotMet")
    whole = lunch(summary="Dinner")
    events.update(calendarId="primary", eventId=made["id"], body=whole).execute()
    assert events.get(calendarId="primary", eventId=made["id"]).execute()["summary"] == "Dinner"


def test_guests_are_told_as_the_request_says(
    google: FakeGoogle, service: Any, calendar: PersonsCalendars
) -> None:
    events = service.events()
    people = [{"email": ANNA}, {"email": "bo@example.org"}, {"email": "x@elsewhere.org"}]
    made = events.insert(
        calendarId="primary", body=lunch(attendees=people), sendUpdates="externalOnly"
    ).execute()  # fmt: skip
    assert [one["responseStatus"] for one in made["attendees"]] == [
        "accepted",
        *["needsAction"] * 2,
    ]
    assert made["attendees"][0]["self"]
    events.patch(calendarId="primary", eventId=made["id"], body={"location": "A"}).execute()
    events.delete(calendarId="primary", eventId=made["id"], sendUpdates="all").execute()
    assert [(one.kind, one.recipients) for one in google.invitations] == [
        ("invite", ["x@elsewhere.org"]),
        ("cancel", ["bo@example.org", "x@elsewhere.org"]),
    ]
    theirs = calendar.add("Party", "2026-10-16T20:00:00", "2026-10-16T22:00:00",
                          organizer="bo@example.org",
                          attendees=["bo@example.org", ANNA])  # fmt: skip
    yes = {"attendees": [{"email": "bo@example.org", "responseStatus": "accepted"},
                         {"email": ANNA, "responseStatus": "accepted"}]}  # fmt: skip
    events.patch(
        calendarId="primary", eventId=theirs["id"], body=yes, sendUpdates="all"
    ).execute()  # fmt: skip
    assert google.invitations[-1].recipients == ["bo@example.org"]
    rename = events.patch(calendarId="primary", eventId=theirs["id"], body={"summary": "Mine"})
    assert refusal(rename) == (403, "forbiddenForNonOrganizer")


def test_a_meeting_needs_its_version(service: Any) -> None:
    request = {
        "createRequest": {"requestId": "r1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}
    }
    events = service.events()
    for version, has_link in ((0, False), (1, True)):
        made = events.insert(
            calendarId="primary", body=lunch(conferenceData=request), conferenceDataVersion=version
        ).execute()  # fmt: skip
        assert ("hangoutLink" in made) is has_link
    moved = events.patch(
        calendarId="primary", eventId=made["id"], body={"summary": "Talk"}
    ).execute()
    assert moved["hangoutLink"] == made["hangoutLink"]
    assert moved["conferenceData"] == made["conferenceData"]


def test_calendars_have_roles(calendar: PersonsCalendars, service: Any) -> None:
    team = calendar.add_calendar("Team", role="reader", selected=False, zone="America/New_York")
    busy = calendar.add_calendar("Boss", role="freeBusyReader")
    event = calendar.add("Secret", "2026-10-16T09:00:00", "2026-10-16T10:00:00", calendar=busy)
    entries = service.calendarList().list().execute()["items"]
    assert [(one["summary"], one["accessRole"], one["selected"]) for one in entries] == [
        (ANNA, "owner", True),
        ("Team", "reader", False),
        ("Boss", "freeBusyReader", True),
    ]
    assert [one.get("primary", False) for one in entries] == [True, False, False]
    insert = service.events().insert(calendarId=team, body=lunch())
    assert refusal(insert) == (403, "requiredAccessLevel")
    seen = service.events().get(calendarId=busy, eventId=event["id"]).execute()
    assert "summary" not in seen
    own = calendar.add_calendar("Own")
    mine = calendar.add("Mine", "2026-10-16T09:00:00", "2026-10-16T10:00:00")
    events = service.events()
    events.move(calendarId="primary", eventId=mine["id"], destination=own).execute()
    assert [one["summary"] for one in calendar.events(own)] == ["Mine"]
    assert not calendar.events()


def test_who_is_busy(google: FakeGoogle, calendar: PersonsCalendars, service: Any) -> None:
    calendar.add("A", "2026-10-16T09:00:00", "2026-10-16T10:30:00", recurrence=[WEEKLY])
    calendar.add("B", "2026-10-16T10:00:00", "2026-10-16T11:00:00")
    calendar.add("Free", "2026-10-16T14:00:00", "2026-10-16T15:00:00", transparency="transparent")
    google.person("bo@example.org").calendar.add("C", "2026-10-16T12:00:00", "2026-10-16T13:00:00")
    body = {
        "timeMin": "2026-10-16T00:00:00Z",
        "timeMax": "2026-10-17T00:00:00Z",
        "items": [{"id": one} for one in ("primary", "bo@example.org", "no@example.org")],
    }
    answer = service.freebusy().query(body=body).execute()["calendars"]
    assert answer["primary"]["busy"] == [
        {"start": "2026-10-16T07:00:00Z", "end": "2026-10-16T09:00:00Z"}
    ]
    assert answer["bo@example.org"]["busy"][0]["start"] == "2026-10-16T10:00:00Z"
    assert answer["no@example.org"]["errors"][0]["reason"] == "notFound"


def test_only_changes_are_listed_with_a_sync_token(
    calendar: PersonsCalendars, service: Any
) -> None:
    events = service.events()
    calendar.add("Old", "2026-10-16T09:00:00", "2026-10-16T10:30:00")
    first = events.list(calendarId="primary").execute()
    new = calendar.add("New", "2026-10-16T09:00:00", "2026-10-16T10:30:00")
    token = first["nextSyncToken"]
    changed = events.list(calendarId="primary", syncToken=token).execute()
    assert [one["id"] for one in changed["items"]] == [new["id"]]
    calendar.forget_sync_tokens()
    gone = events.list(calendarId="primary", syncToken=token)
    assert refusal(gone) == (410, "fullSyncRequired")


def test_pages_and_words(calendar: PersonsCalendars, service: Any) -> None:
    for day in range(10, 15):
        calendar.add(f"Day {day}", date(2026, 10, day), date(2026, 10, day + 1))
    request = expanded(service, maxResults=2)
    seen: list[str] = []
    while request is not None:
        answer = request.execute()
        seen += [one["summary"] for one in answer["items"]]
        request = service.events().list_next(request, answer)
    assert seen == [f"Day {day}" for day in range(10, 15)]
    found = expanded(service, q="day 12", fields="items(summary,start/date)").execute()
    assert found == {"items": [{"summary": "Day 12", "start": {"date": "2026-10-12"}}]}
