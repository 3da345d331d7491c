"""The tools of Google Tasks, through a client, the gate, real HTTP and a fake Google."""

from datetime import date
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from servers.google_tasks.server import mcp
from tests.fakes.google import FakeGoogle
from tests.servers.google_tasks.conftest import undone
from tests.servers.kit.google.conftest import ANNA, sign_in

LIST = {"list_id": "@default"}


async def call(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    found = (await client.call_tool(tool, arguments)).structured_content
    assert found is not None
    return found


async def test_lists_come_in_pages(client: Client[Any], tasks: Any) -> None:
    for number in range(4):
        tasks.add_list(f"List {number}")

    first = await call(client, "list_lists", limit=3)
    second = await call(client, "list_lists", limit=3, cursor=first["next_cursor"])

    titles = [one["untrusted_title"] for one in first["items"] + second["items"]]
    assert titles == ["My Tasks", "List 0", "List 1", "List 2", "List 3"]
    assert (first["account"], second["next_cursor"]) == (ANNA, None)


async def test_open_tasks_are_listed_with_their_day_and_subtasks(
    client: Client[Any], tasks: Any
) -> None:
    trip = tasks.add("Trip", due=date(2026, 11, 20), notes="Passport")
    part = tasks.add("Book the train", parent=trip["id"])
    tasks.add("Old", completed=True)

    found = await call(client, "list")

    assert found["items"] == [
        {
            "task_id": trip["id"],
            "untrusted_title": "Trip",
            "untrusted_notes": "Passport",
            "notes_chars": 8,
            "due": "2026-11-20",
            "is_done": False,
            "completed_at": None,
            "parent_id": None,
            "is_assigned": False,
        },
        {
            "task_id": part["id"],
            "untrusted_title": "Book the train",
            "untrusted_notes": None,
            "notes_chars": 0,
            "due": None,
            "is_done": False,
            "completed_at": None,
            "parent_id": trip["id"],
            "is_assigned": False,
        },
    ]


async def test_done_tasks_are_listed_when_asked_for(client: Client[Any], tasks: Any) -> None:
    done = tasks.add("Old", completed=True)
    done["hidden"] = True  # as Google's own apps leave it

    assert (await call(client, "list"))["items"] == []
    [found] = (await call(client, "list", show_completed=True))["items"]
    assert (found["task_id"], found["is_done"]) == (done["id"], True)
    assert found["completed_at"] == done["completed"]


async def test_due_before_leaves_out_its_own_day(client: Client[Any], tasks: Any) -> None:
    for day in (19, 20, 21):
        tasks.add(f"On {day}", due=date(2026, 11, day))
    tasks.add("Some day")

    found = await call(client, "list", due_before="2026-11-21")
    assert [one["untrusted_title"] for one in found["items"]] == ["On 19", "On 20"]


@pytest.mark.parametrize("day", ["tomorrow", "2026-02-30", "0001-01-01"])
async def test_a_day_that_is_none_is_told(client: Client[Any], day: str) -> None:
    with pytest.raises(ToolError, match="due_before"):
        await call(client, "list", due_before=day)


async def test_a_page_of_long_notes_fits_and_one_task_has_them_whole(
    client: Client[Any], tasks: Any
) -> None:
    made = [tasks.add("T" * 1_024, notes=f"{i:04d}" * 2_000) for i in range(50)]

    found = await call(client, "list", limit=50)
    assert {len(one["untrusted_notes"]) for one in found["items"]} == {160}
    assert {one["notes_chars"] for one in found["items"]} == {8_000}
    one = await call(client, "get", **LIST, task_id=made[7]["id"])
    assert one["untrusted_notes"] == "0007" * 2_000


async def test_foreign_text_is_cleaned(client: Client[Any], tasks: Any) -> None:
    tasks.add("Pay\u202e now\u200b", notes="a\U000e0041b")

    [found] = (await call(client, "list"))["items"]
    assert (found["untrusted_title"], found["untrusted_notes"]) == ("Pay now", "ab")


async def test_a_new_task_stands_at_the_top_and_can_be_undone(
    client: Client[Any], tasks: Any, asked: list[str]
) -> None:
    tasks.add("Before")
    made = await client.call_tool("add", {"title": "Call Bo", "due": "2026-11-27", "notes": "now"})

    first = (await call(client, "list"))["items"][0]
    assert (first["untrusted_title"], first["due"]) == ("Call Bo", "2026-11-27")
    assert asked == []
    await undone(client, made)
    assert [one["untrusted_title"] for one in (await call(client, "list"))["items"]] == ["Before"]


async def test_a_change_can_be_undone_to_the_letter(client: Client[Any], tasks: Any) -> None:
    task = tasks.add("Dentist", due=date(2026, 11, 20))
    before = dict(task)

    changed = await client.call_tool(
        "update", {**LIST, "task_id": task["id"], "done": True, "due": "", "notes": "Rinse"}
    )
    assert (task["status"], task.get("due"), task["notes"]) == ("completed", None, "Rinse")

    await undone(client, changed)
    same = ("title", "status", "due")
    assert {name: task[name] for name in same} == {name: before[name] for name in same}
    assert not task.get("notes")
    assert "completed" not in task


async def test_a_change_of_nothing_is_refused(client: Client[Any], tasks: Any) -> None:
    task = tasks.add("Dentist")

    with pytest.raises(ToolError, match="Nothing would change"):
        await call(client, "update", **LIST, task_id=task["id"])


async def test_a_task_moves_with_its_subtasks_and_back(client: Client[Any], tasks: Any) -> None:
    garden = tasks.add_list("Garden")
    task = tasks.add("Hedge")
    part = tasks.add("Buy shears", parent=task["id"])

    moved = await client.call_tool("move", {**LIST, "task_id": task["id"], "to_list_id": garden.id})
    assert set(garden.tasks) == {task["id"], part["id"]}
    await undone(client, moved)
    assert set(tasks.default.tasks) == {task["id"], part["id"]}
    assert garden.tasks == {}

    with pytest.raises(ToolError, match="subtask"):
        await call(client, "move", **LIST, task_id=part["id"], to_list_id=garden.id)


async def test_a_deletion_asks_first_and_can_be_undone(
    client: Client[Any], tasks: Any, asked: list[str]
) -> None:
    task = tasks.add("Taxes", due=date(2026, 11, 30), notes="All of 2025")
    part = tasks.add("Receipts", parent=task["id"])

    deleted = await client.call_tool("delete", {**LIST, "task_id": task["id"]})

    assert len(asked) == 1
    assert (await call(client, "list"))["items"] == []

    restored = await undone(client, deleted)
    assert restored.structured_content == {
        "account": ANNA,
        "list_id": "@default",
        "restored": [task["id"], part["id"]],
        "failed": [],
    }
    assert len((await call(client, "list"))["items"]) == 2


async def test_the_question_before_a_deletion_can_show_the_task(
    client: Client[Any], google: FakeGoogle, tasks: Any
) -> None:
    task = tasks.add("Taxes", due=date(2026, 11, 30), notes="All of 2025")
    tasks.add("Receipts", parent=task["id"])
    door = httpx2.ASGITransport(mcp.http_app())
    async with httpx2.AsyncClient(transport=door, base_url="http://server") as http:
        arguments = {**LIST, "task_id": task["id"]}
        told = (await http.post("/previews/delete", json={"arguments": arguments})).json()

    assert {line["name"]: line["value"] for line in told["lines"]} == {
        "Account": ANNA,
        "Task": "Taxes",
        "Due": "2026-11-30",
        "Subtasks": "1 go with it",
    }
    assert told["text"] == "All of 2025"
    assert google.count("tasks.tasks.delete") == 0


async def test_a_task_somebody_gave_in_a_document_is_not_deleted(
    client: Client[Any], tasks: Any
) -> None:
    task = tasks.add("Review the plan")
    task["assignmentInfo"] = {"surfaceType": "DOCUMENT", "linkToTask": "https://docs.example"}

    with pytest.raises(ToolError, match="delete it there"):
        await call(client, "delete", **LIST, task_id=task["id"])
    assert not task.get("deleted")


async def test_what_is_not_there_is_told_with_where_to_look(
    client: Client[Any], tasks: Any
) -> None:
    with pytest.raises(ToolError, match="no task 'gone' in the list '@default'"):
        await call(client, "get", **LIST, task_id="gone")
    with pytest.raises(ToolError, match="see list_lists"):
        await call(client, "list", list_id="gone")
    with pytest.raises(ToolError, match="no task 'gone'"):
        await call(client, "restore", **LIST, task_ids=["gone"])
    found = await call(client, "restore", **LIST, task_ids=[tasks.add("Here")["id"], "gone"])
    assert found["failed"] == ["gone"]


async def test_an_addition_whose_answer_is_lost_is_not_done_again(
    client: Client[Any], google: FakeGoogle, tasks: Any
) -> None:
    google.faults.next("tasks.tasks.insert", cut=True, acted=True)

    result = await client.call_tool("add", {"title": "Once"}, raise_on_error=False)
    assert result.structured_content is not None
    assert result.structured_content["error"]["code"] == "outcome_unknown"
    assert [one["title"] for one in tasks.default.tasks.values()] == ["Once"]


async def test_a_deletion_whose_answer_is_lost_is_looked_up(
    client: Client[Any], google: FakeGoogle, tasks: Any
) -> None:
    task = tasks.add("Once")
    google.faults.next("tasks.tasks.delete", status=503, retry_after=0, acted=True, times=4)

    deleted = await call(client, "delete", **LIST, task_id=task["id"])
    assert deleted["task_ids"] == [task["id"]]
    assert task["deleted"]


async def test_who_permitted_reading_only_signs_in_for_more_and_the_call_goes_on(
    client: Client[Any], google: FakeGoogle, asked: list[str]
) -> None:
    await sign_in(mcp.accounts, "read", account="bo@example.org")
    bo = google.person("bo@example.org").tasks
    bo.add("Of Bo")

    found = await call(client, "list", account="bo@example.org")
    assert (found["account"], asked) == ("bo@example.org", [])
    added = await call(client, "add", title="More", account="bo@example.org")
    assert (added["account"], len(asked)) == ("bo@example.org", 1)
    assert [one["title"] for one in bo.default.tasks.values()] == ["Of Bo", "More"]
