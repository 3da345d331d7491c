"""What was spent, over HTTP: grouped, in the owner's days, and as a file."""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.times import now_rfc3339, to_rfc3339, utc_now
from orchestrator.store import sessions, usage
from orchestrator.store.usage import UsageRow
from tests.orchestrator.api.doorway import Door
from tests.orchestrator.api.house import owner_of, whole_house

SUMS = ("requests", "cost_microusd", "pending", "estimated")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    caps = {"day_max_cost_microusd": 1_000, "month_max_cost_microusd": 5_000}
    with whole_house(tmp_path, timezone="Asia/Kathmandu", **caps) as running:
        yield running


def row(cost: int, created_at: str | None = None, **more: Any) -> UsageRow:
    usual = {"session_id": "ses_1", "turn_id": "turn_1", "round": 1, "purpose": "chat"}
    usual |= {"model": "a/one", "generation_id": f"gen-{cost}", "message_id": "msg_1"}
    counts = {"prompt_tokens": 10, "completion_tokens": 5, "reasoning_tokens": 2}
    return UsageRow(
        **usual | counts | {"cached_tokens": 1, "cost_microusd": cost} | more,
        created_at=created_at or now_rfc3339(),
    )


def record(door: Door, *rows: UsageRow) -> None:
    door.run(door.api.state.database.write(usage.record, owner_of(door), rows))


def asked(door: Door, query: str = "") -> dict[str, Any]:
    answer = door.ask("GET", f"/api/usage?{query}", door.bearer)
    assert answer.status == 200, answer.body
    return answer.json


def short(page: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(item["key"], *(item[name] for name in SUMS)) for item in page["items"]]


def test_days_begin_at_the_owners_midnight(door: Door) -> None:
    # Kathmandu is 5 h 45 min ahead: its midnight is 18:15 in UTC.
    record(door, row(1, "2026-11-19T18:14:59.999Z"), row(20, "2026-11-19T18:15:00.000Z"))
    record(door, row(300, "2026-11-20T18:14:00.000Z", state="pending"))
    page = asked(door)
    assert short(page) == [("2026-11-20", 2, 320, 1, 0), ("2026-11-19", 1, 1, 0, 0)]
    assert page["timezone"] == "Asia/Kathmandu"
    in_utc = asked(door, "tz=UTC")
    assert short(in_utc) == [("2026-11-20", 1, 300, 1, 0), ("2026-11-19", 2, 21, 0, 0)]
    one_day = asked(door, "from=2026-11-20&to=2026-11-21")
    assert short(one_day) == [("2026-11-20", 2, 320, 1, 0)]
    assert one_day["totals"]["cost_microusd"] == 320
    since = asked(door, "from=2026-11-20T18:00:00Z")
    assert since["totals"] == {
        "requests": 1,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "reasoning_tokens": 2,
        "cached_tokens": 1,
        "cost_microusd": 300,
        "pending": 1,
        "estimated": 0,
    }


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", [("b/two", 1, 50, 0, 1), ("a/one", 2, 30, 0, 0)]),
        ("purpose", [("chat", 2, 70, 0, 1), ("title", 1, 10, 0, 0)]),
        ("session", [("ses_2", 1, 50, 0, 1), ("ses_1", 2, 30, 0, 0)]),
        ("turn", [("turn_2", 1, 50, 0, 1), ("turn_1", 1, 20, 0, 0), ("", 1, 10, 0, 0)]),
        ("message", [("msg_2", 1, 50, 0, 1), ("msg_1", 1, 20, 0, 0), ("", 1, 10, 0, 0)]),
    ],
)
def test_the_dearest_comes_first_and_pages_go_on_where_they_ended(
    door: Door, by: str, expected: list[Any]
) -> None:
    second = {"session_id": "ses_2", "turn_id": "turn_2", "message_id": "msg_2"}
    record(door, row(20), row(10, purpose="title", turn_id="", message_id=None))
    record(door, row(50, model="b/two", state="estimated", **second))
    assert short(asked(door, f"group_by={by}")) == expected
    found: list[Any] = []
    more = ""
    while True:
        page = asked(door, f"group_by={by}&limit=1{more}")
        assert page["totals"]["cost_microusd"] == 80
        found += short(page)
        if page["next_cursor"] is None:
            break
        more = f"&cursor={page['next_cursor']}"
    assert found == expected


def test_equal_costs_are_paged_without_loss(door: Door) -> None:
    record(door, *(row(7, session_id=f"ses_{n}") for n in range(5)))
    first = asked(door, "group_by=session&limit=3")
    second = asked(door, f"group_by=session&limit=3&cursor={first['next_cursor']}")
    assert [item["key"] for page in (first, second) for item in page["items"]] == [
        f"ses_{n}" for n in range(5)
    ]


def test_a_session_has_its_title_until_it_is_deleted_and_counts_on(door: Door) -> None:
    owner_id, database = owner_of(door), door.api.state.database
    session = door.run(database.write(sessions.create, owner_id, "Boats"))
    record(door, row(20, session_id=session.id))
    [item] = asked(door, "group_by=session")["items"]
    assert (item["key"], item["title"]) == (session.id, "Boats")
    assert door.ask("DELETE", f"/api/sessions/{session.id}", door.bearer).status == 204
    [item] = asked(door, "group_by=session")["items"]
    assert (item["key"], item["title"], item["cost_microusd"]) == (session.id, None, 20)


def test_the_caps_say_what_is_left_of_a_day_and_a_month(door: Door) -> None:
    yesterday = to_rfc3339(utc_now() - timedelta(hours=25))
    record(door, row(300), row(4_000, yesterday))
    caps = asked(door)["caps"]
    assert caps["day"] == {
        "limit_microusd": 1_000,
        "spent_microusd": 300,
        "remaining_microusd": 700,
    }
    assert caps["month"] == {
        "limit_microusd": 5_000,
        "spent_microusd": 4_300,
        "remaining_microusd": 700,
    }
    assert caps["turn"]["limit_microusd"] == 1_000_000
    assert caps["turn"]["spent_microusd"] is None


@pytest.mark.parametrize(
    "query", ["group_by=month", "tz=Mars/Olympus", "tz=../etc", "from=1", "limit=0", "to=never"]
)
def test_what_is_no_such_question_is_refused_with_its_field(door: Door, query: str) -> None:
    answer = door.ask("GET", f"/api/usage?{query}", door.bearer)
    assert answer.status == 422
    assert answer.json["errors"][0]["field"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("path", ["/api/usage?cursor=nonsense", "/api/usage/?cursor=nonsense"])
def test_a_foreign_cursor_is_no_page(door: Door, path: str) -> None:
    assert door.ask("GET", path, door.bearer).status == 404


@pytest.mark.parametrize("path", ["/api/usage", "/api/usage/export"])
def test_nobody_else_sees_what_was_spent(door: Door, path: str) -> None:
    assert door.ask("GET", path).status == 401


def test_the_export_has_every_row_and_no_formulas(door: Door) -> None:
    many = [row(n, f"2026-11-{1 + n % 28:02}T10:00:00.000Z") for n in range(1_200)]
    record(door, *many, row(5_000, model="=HYPERLINK(1)"))
    answer = door.ask("GET", "/api/usage/export?format=csv", door.bearer)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert len(lines) == 1_201
    assert sum(int(line["cost_microusd"]) for line in lines) == sum(range(1_200)) + 5_000
    assert [line["created_at"] for line in lines] == sorted(line["created_at"] for line in lines)
    assert "owner_id" not in lines[0]
    assert [line["model"] for line in lines if line["cost_microusd"] == "5000"] == [
        "'=HYPERLINK(1)"
    ]
    some = door.ask("GET", "/api/usage/export?from=2026-11-28&to=2026-11-29", door.bearer)
    assert some.body.decode().count("\n") - 1 == sum(n % 28 == 27 for n in range(1_200))


def test_monitoring_sees_costs_by_model_and_what_is_pending(door: Door) -> None:
    record(door, row(2_500_000), row(40, model="b/two", state="pending"))
    text = door.ask("GET", "/metrics", door.bearer).body.decode()
    assert 'flotilla_model_cost_usd{model="a/one",purpose="chat"} 2.5' in text
    assert 'flotilla_model_requests{model="b/two",purpose="chat"} 1.0' in text
    assert "flotilla_usage_pending 1.0" in text
