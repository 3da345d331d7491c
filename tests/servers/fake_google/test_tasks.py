"""Tasks in the fake, seen by Google's own client."""

import json
from datetime import date
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from tests.fakes.google import FakeGoogle
from tests.fakes.google.tasks import PersonsTasks
from tests.servers.fake_google.conftest import ANNA, TASKS_SCOPE, Client


@pytest.fixture
def service(client: Client) -> Any:
    return client("tasks.v1", TASKS_SCOPE)


@pytest.fixture
def kept(google: FakeGoogle) -> PersonsTasks:
    return google.person(ANNA).tasks


def refusal(request: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        request.execute()
    error = json.loads(caught.value.content)["error"]
    return caught.value.status_code, error["message"]


def titles(answer: Any) -> list[str]:
    return [one["title"] for one in answer.get("items", [])]


def test_of_a_due_time_only_the_day_is_kept(service: Any) -> None:
    body = {"title": "Call", "due": "2026-11-20T15:30:00+01:00", "position": "7", "parent": "x"}
    made = service.tasks().insert(tasklist="@default", body=body).execute()
    assert made["due"] == "2026-11-20T00:00:00.000Z"
    assert "parent" not in made
    assert made["position"] == "0" * 20


def test_tasks_have_an_order_and_children(kept: PersonsTasks, service: Any) -> None:
    one, two = kept.add("one"), kept.add("two")
    tasks = service.tasks()
    first = tasks.insert(tasklist="@default", body={"title": "zero"}).execute()
    assert titles(tasks.list(tasklist="@default").execute()) == ["zero", "one", "two"]
    tasks.move(tasklist="@default", task=first["id"], previous=one["id"]).execute()
    assert titles(tasks.list(tasklist="@default").execute()) == ["one", "zero", "two"]
    child = tasks.move(tasklist="@default", task=two["id"], parent=one["id"]).execute()
    assert child["parent"] == one["id"]
    other = kept.add_list("Other")
    tasks.move(tasklist="@default", task=one["id"], destinationTasklist=other.id).execute()
    assert titles(tasks.list(tasklist=other.id).execute()) == ["one", "two"]
    assert [name["title"] for name in service.tasklists().list().execute()["items"]] == [
        "My Tasks",
        "Other",
    ]
    for wrong in ({"parent": "nope"}, {"previous": "nope"}):
        move = tasks.move(tasklist="@default", task=first["id"], **wrong)
        assert refusal(move)[0] == 400


def test_finished_tasks_are_hidden_once_cleared(kept: PersonsTasks, service: Any) -> None:
    task = kept.add("Done soon", notes="n")
    tasks = service.tasks()
    done = {"status": "completed"}
    changed = tasks.patch(tasklist="@default", task=task["id"], body=done).execute()
    assert changed["completed"]
    assert titles(tasks.list(tasklist="@default").execute()) == ["Done soon"]
    assert not titles(tasks.list(tasklist="@default", showCompleted=False).execute())
    tasks.clear(tasklist="@default").execute()
    assert not titles(tasks.list(tasklist="@default").execute())
    assert titles(tasks.list(tasklist="@default", showHidden=True).execute()) == ["Done soon"]
    again = tasks.patch(tasklist="@default", task=task["id"], body={"status": "needsAction"})
    assert "completed" not in again.execute()
    whole = tasks.update(tasklist="@default", task=task["id"], body={"title": "New"}).execute()
    assert "notes" not in whole
    tasks.delete(tasklist="@default", task=task["id"]).execute()
    assert not titles(tasks.list(tasklist="@default").execute())


def test_tasks_are_found_by_their_day(kept: PersonsTasks, service: Any) -> None:
    for day in (19, 20, 21):
        kept.add(str(day), due=date(2026, 11, day))
    kept.add("some day")
    window = {"dueMin": "2026-11-20T00:00:00Z", "dueMax": "2026-11-21T00:00:00Z"}
    assert titles(service.tasks().list(tasklist="@default", **window).execute()) == ["20"]
    page = service.tasks().list(tasklist="@default", maxResults=3)
    answer = page.execute()
    assert titles(service.tasks().list_next(page, answer).execute()) == ["some day"]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"title": "x" * 1_025}, "Title"),
        ({"notes": "x" * 8_193}, "Notes"),
        ({"status": "doing"}, "status"),
        ({"due": "tomorrow"}, "due"),
        ({"name": "x"}, "name"),
    ],
)
def test_what_is_no_task_is_refused(service: Any, body: Any, complaint: str) -> None:
    status, said = refusal(service.tasks().insert(tasklist="@default", body=body))
    assert (status, complaint in said) == (400, True), said


def test_what_is_not_there_is_not_found(service: Any) -> None:
    assert refusal(service.tasks().get(tasklist="@default", task="x"))[0] == 404
    assert refusal(service.tasklists().get(tasklist="x"))[0] == 404
