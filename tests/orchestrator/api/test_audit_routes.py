"""The audit trail of the whole house: one shape, the newest first, nothing left out unsaid."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.api.audit import SERVER_DEADLINE_S
from orchestrator.store import audit
from tests.fakes.audit_trail import TOKEN, AuditTrail, rows, served
from tests.orchestrator.api.doorway import Door
from tests.orchestrator.api.house import owner_of, whole_house

# The rows of the orchestrator are of now; these are later, so that they come first.
FUTURE = datetime(2999, 1, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def trails() -> Iterator[dict[str, AuditTrail]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(served(AuditTrail())) for name in ("mail", "files")}


@pytest.fixture
def door(tmp_path: Path, trails: dict[str, AuditTrail]) -> Iterator[Door]:
    tokens = tmp_path / "data" / "tokens"
    tokens.mkdir(parents=True)
    for name in (*trails, "off"):
        (tokens / name).write_text(TOKEN)
    servers = [trail.document(name) for name, trail in trails.items()]
    third = {"id": "third", "url": "http://127.0.0.1:9/mcp", "trust": "third_party"}
    off = {**trails["mail"].document("off"), "enabled": False}
    with whole_house(tmp_path, [*servers, third, off]) as running:
        yield running


def page(door: Door, query: str = "") -> dict[str, Any]:
    answer = door.ask("GET", f"/api/audit?{query}", door.bearer)
    assert answer.status == 200, answer.body
    return answer.json


def pages(door: Door, limit: int, query: str = "") -> list[dict[str, Any]]:
    """All rows, page by page."""
    found: list[dict[str, Any]] = []
    more = ""
    while True:
        one = page(door, f"limit={limit}{query}{more}")
        assert len(one["items"]) <= limit
        found += one["items"]
        if one["next_cursor"] is None:
            return found
        assert one["items"]
        more = f"&cursor={one['next_cursor']}"


def note(door: Door, number: int) -> None:
    for each in range(number):
        door.run(
            door.api.state.database.write(
                audit.append,
                owner_of(door),
                actor="test",
                action="did",
                subject=f"thing {each}",
                details={"taint": ["mail"], "tool": "mail__send"},
            )
        )


def places(entries: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(entry["source"], entry["position"]) for entry in entries]


def test_all_sources_are_one_list_in_one_shape(door: Door, trails: dict[str, AuditTrail]) -> None:
    trails["mail"].rows = rows("mail", FUTURE + 3, FUTURE + 1)[:1]
    trails["files"].rows = rows("files", FUTURE + 2, decision="not_needed", decided_by=None)
    note(door, 1)
    found = page(door)
    mail, files, own = found["items"][:3]
    assert [each["source"] for each in (mail, files, own)] == ["mail", "files", "orchestrator"]
    assert set(mail) == set(files) == set(own)
    assert (mail["actor"], mail["action"], mail["subject"]) == (
        "terminal",
        "call_done",
        "call_mail_0",
    )
    assert (mail["tool"], mail["taint"], mail["effects"]) == ("mail__send", ["mail from é"], 1)
    assert files["actor"] == "claude-desktop 1.2"
    assert (own["actor"], own["action"], own["tool"], own["taint"]) == (
        "test",
        "did",
        "mail__send",
        ["mail"],
    )
    assert found["unavailable"] == ["off"]


def test_paging_gives_every_row_once(door: Door, trails: dict[str, AuditTrail]) -> None:
    trails["mail"].rows = rows("mail", *(FUTURE + each for each in range(0, 14, 2)))
    trails["files"].rows = rows("files", *(FUTURE + each for each in range(1, 10, 2)))
    note(door, 4)
    page(door)  # Looking for the first time is noted.
    everything = page(door, "limit=100")
    assert everything["next_cursor"] is None
    expected = places(everything["items"])
    assert expected[:3] == [("mail", 7), ("mail", 6), ("files", 5)]
    assert len({place for place in expected if place[0] != "orchestrator"}) == 12
    for limit in (1, 2, 5, 12):
        assert places(pages(door, limit)) == expected


def test_rows_that_come_meanwhile_shift_no_page(door: Door, trails: dict[str, AuditTrail]) -> None:
    trails["mail"].rows = rows("mail", *(FUTURE + each for each in range(4)))
    first = page(door, "limit=2&server=mail")
    trails["mail"].rows = rows("mail", *(FUTURE + each for each in range(9)))
    second = page(door, f"limit=2&server=mail&cursor={first['next_cursor']}")
    assert places([*first["items"], *second["items"]]) == [("mail", each) for each in (4, 3, 2, 1)]
    assert second["next_cursor"] is None


def test_a_clock_that_went_back_hides_no_row(door: Door, trails: dict[str, AuditTrail]) -> None:
    trails["mail"].rows = rows("mail", FUTURE, FUTURE + 50, FUTURE - 50, FUTURE + 20)
    trails["files"].rows = rows("files", FUTURE + 10, FUTURE + 40)
    found = places(pages(door, 1))
    for name, count in (("mail", 4), ("files", 2)):
        positions = [position for source, position in found if source == name]
        assert positions == list(range(count, 0, -1))


def test_rows_that_are_missing_in_a_chain_end_no_list(
    door: Door, trails: dict[str, AuditTrail]
) -> None:
    trail = rows("mail", *(FUTURE + each for each in range(12)))
    trails["mail"].rows = [row for row in trail if row["position"] not in range(3, 10)]
    found = []
    more = ""
    while True:
        one = page(door, f"limit=3&server=mail{more}")
        found += [entry["position"] for entry in one["items"]]
        if one["next_cursor"] is None:
            break
        more = f"&cursor={one['next_cursor']}"
    assert found == [12, 11, 10, 2, 1]


def test_what_the_newest_row_of_a_server_was_is_noted_once(
    door: Door, trails: dict[str, AuditTrail]
) -> None:
    trails["mail"].rows = rows("mail", FUTURE, FUTURE + 1)
    page(door)
    page(door)
    trails["mail"].rows.pop()
    page(door)
    seen = [entry for entry in page(door)["items"] if entry["action"] == "audit_head_seen"]
    assert [(each["subject"], each["details"]["position"]) for each in seen] == [("mail", 2)]


def test_one_source_alone(door: Door, trails: dict[str, AuditTrail]) -> None:
    trails["mail"].rows = rows("mail", FUTURE)
    note(door, 1)
    assert places(pages(door, 5, "&server=mail")) == [("mail", 1)]
    assert {source for source, _ in places(pages(door, 50, "&server=orchestrator"))} == {
        "orchestrator"
    }
    assert pages(door, 5, "&server=third") == []
    assert door.ask("GET", "/api/audit?server=nobody", door.bearer).status == 404


def test_servers_that_cannot_be_read_are_named_and_delay_nobody(
    door: Door, trails: dict[str, AuditTrail]
) -> None:
    trails["mail"].rows = rows("mail", FUTURE)
    trails["files"].hangs = True
    began = time.monotonic()
    found = page(door)
    assert time.monotonic() - began < SERVER_DEADLINE_S + 1.5
    assert found["unavailable"] == ["files", "off"]
    assert places(found["items"])[0] == ("mail", 1)
    trails["files"].hangs = False
    trails["mail"].rows[0]["effects"] = "many"
    assert page(door)["unavailable"] == ["mail", "off"]


def test_a_server_that_comes_back_is_not_left_out(
    door: Door, trails: dict[str, AuditTrail]
) -> None:
    trails["mail"].rows = rows("mail", FUTURE, FUTURE + 1)
    files = rows("files", FUTURE)
    trails["files"].rows = [{"position": 1}]
    first = page(door, "limit=1")
    assert first["unavailable"] == ["files", "off"]
    trails["files"].rows = files
    second = page(door, f"limit=2&cursor={first['next_cursor']}")
    assert sorted(places(second["items"])) == [("files", 1), ("mail", 1)]


@pytest.mark.parametrize(
    "cursor", ["x", "WzFd", "WyJ7fSIsIDFd", "WyJub25lIl0", "WyJ7XCJhXCI6MH0iXQ"]
)
def test_a_foreign_cursor_is_refused(door: Door, cursor: str) -> None:
    assert door.ask("GET", f"/api/audit?cursor={cursor}", door.bearer).status == 404
