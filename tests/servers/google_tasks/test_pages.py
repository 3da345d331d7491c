"""Pages of tasks: of one list throughout, and small enough for a result."""

from datetime import date
from typing import Any

from fastmcp import Client


async def test_a_cursor_goes_on_with_what_was_asked_for(client: Client[Any], tasks: Any) -> None:
    other = tasks.add_list("Garden")
    for number in range(5):
        tasks.add(f"garden {number}", to=other, due=date(2026, 11, 20))
        tasks.add(f"garden, later {number}", to=other, due=date(2026, 12, 20))
        tasks.add(f"default {number}")
    asked = {"list_id": other.id, "due_before": "2026-12-01"}

    page = await client.call_tool("list", {**asked, "limit": 2})
    found = [page.structured_content]
    while found[-1]["next_cursor"]:
        more = {"cursor": found[-1]["next_cursor"], "limit": 2}
        found.append((await client.call_tool("list", more)).structured_content)

    titles = [one["untrusted_title"] for each in found for one in each["items"]]
    assert sorted(titles) == [f"garden {number}" for number in range(5)]
    assert {each["list_id"] for each in found} == {other.id}


async def test_long_texts_of_any_script_fit_into_a_result(client: Client[Any], tasks: Any) -> None:
    for _ in range(30):
        tasks.add("題" * 1_000, notes="語" * 4_000)
    hostile = tasks.add("x", notes='"\\😀' * 2_700)

    page = await client.call_tool("list", {"limit": 31})
    whole = await client.call_tool("get", {"list_id": "@default", "task_id": hostile["id"]})

    assert page.structured_content is not None
    assert whole.structured_content is not None
    assert len(page.structured_content["items"]) == 31
    assert page.structured_content["items"][-1]["untrusted_title"]
    assert len(whole.structured_content["untrusted_notes"]) > 4_000
