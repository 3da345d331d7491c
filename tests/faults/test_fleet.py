"""Many servers, some of them sick, and a list of servers that is changed while it is used."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.mcp_servers import ServerProcess, closed_port, hostile_server, toy_server
from tests.faults.fleet_loop import fleet_loop
from tests.orchestrator.api.doorway import Answer, Door
from tests.orchestrator.api.house import whole_house

SERVERS = "/api/mcp/servers"
LIMIT_S = 30


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("toy") / "journal") as server:
        yield server


def until(house: Door, condition: Any) -> dict[str, dict[str, Any]]:
    """Return the servers by id once they are as wanted."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        items = house.ask("GET", SERVERS, house.bearer).json["items"]
        entries = {item["id"]: item for item in items}
        if condition(entries):
            return entries
        assert time.monotonic() < deadline_s, {key: item["state"] for key, item in entries.items()}
        time.sleep(0.02)


def call(house: Door, tool: str, **arguments: Any) -> Answer:
    path = f"/api/mcp/tools/{tool}/call"
    return house.ask("POST", path, house.bearer, {"arguments": arguments})


def median_ms(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def timed_ms(house: Door, number: int) -> list[float]:
    times: list[float] = []
    for _ in range(number):
        began = time.perf_counter()
        assert house.ask("GET", SERVERS, house.bearer).status == 200
        times.append((time.perf_counter() - began) * 1000)
    return times


@pytest.mark.fault
def test_sick_servers_slow_neither_the_list_nor_the_others(tmp_path: Path, toy: ServerProcess):
    with ExitStack() as stack:
        frozen = [
            stack.enter_context(toy_server(tmp_path / f"frozen{number}")) for number in range(2)
        ]
        hostile = stack.enter_context(hostile_server())
        for server in frozen:
            server.freeze()
        servers = [
            *({"id": f"good{n}", "url": toy.url, "trust": "fleet"} for n in range(27)),
            *(
                {"id": f"dead{n}", "url": f"http://127.0.0.1:{closed_port()}/mcp"}
                for n in range(10)
            ),
            *({"id": f"frozen{n}", "url": server.url} for n, server in enumerate(frozen)),
            {"id": "mad", "url": hostile.url_of("garbage_json")},
        ]
        house = stack.enter_context(whole_house(tmp_path, servers[:2]))
        until(house, lambda now: now["good0"]["state"] == now["good1"]["state"] == "ready")
        call(house, "good0__echo", text="warm")
        few_ms = median_ms(timed_ms(house, 20))
        began = time.perf_counter()
        put = house.ask("PUT", SERVERS, house.bearer, {"servers": servers})
        assert (put.status, len(put.json["items"])) == (200, 40)
        # An attempt at one that is frozen takes five seconds: nobody waited for it.
        assert time.perf_counter() - began < 2.5
        entries = until(
            house, lambda now: all(now[f"good{n}"]["state"] == "ready" for n in range(27))
        )
        times = timed_ms(house, 20)
        for number in range(27):
            assert call(house, f"good{number}__echo", text="hi").json["text"] == "hi"
        print(f"GET of 2 servers {few_ms:.1f} ms, of 40 {median_ms(times):.1f} ms")
        assert median_ms(times) < 50 + 10 * few_ms
        entries = until(
            house,
            lambda now: (
                {now[sick]["state"] for sick in ("frozen0", "frozen1", "mad", "dead9")}
                == {"unavailable"}
            ),
        )
    assert entries["mad"]["last_error"] == "the reply is not a JSON-RPC message"
    assert entries["frozen0"]["last_error"] == "the answer did not come in time"


@pytest.mark.fault
@pytest.mark.timeout(180)
async def test_servers_that_come_and_go_fail_no_turn_and_leave_nothing_open(tmp_path: Path):
    report = await fleet_loop(tmp_path, rounds=20)
    print("\n".join(report.lines()))
    assert report.turns.total() > 10
    assert report.failed_turns == 0
    assert report.strange_failures == []
    assert report.files[1] <= report.files[0]


async def running_tasks() -> int:
    return len(asyncio.all_tasks())


@pytest.mark.fault
def test_no_task_is_left_of_servers_that_went(tmp_path: Path, toy: ServerProcess):
    config = {"id": "toy", "url": toy.url, "trust": "fleet"}
    with whole_house(tmp_path, [config]) as house:
        until(house, lambda now: now["toy"]["state"] == "ready")
        before = house.run(running_tasks())
        for _ in range(20):
            for servers in ([], [config]):
                body = {"servers": servers}
                assert house.ask("PUT", SERVERS, house.bearer, body).status == 200
        until(house, lambda now: now["toy"]["state"] == "ready")
        deadline_s = time.monotonic() + LIMIT_S
        while house.run(running_tasks()) > before:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)


@pytest.mark.fault
def test_a_tool_that_changes_by_one_byte_is_not_called_until_it_is_accepted(tmp_path: Path):
    with toy_server(tmp_path / "journal", "--with-greet") as server:
        config = {"id": "toy", "url": server.url, "trust": "fleet"}
        with whole_house(tmp_path, [config]) as house:
            until(house, lambda now: now["toy"]["state"] == "ready")
            server.restart("--greet-description", "Greet a person,")
            refreshed = house.ask("POST", f"{SERVERS}/refresh", house.bearer).json["items"][0]
            assert (refreshed["state"], refreshed["changed_tools"]) == ("changed", ["greet"])
            assert refreshed["tools_on"] == refreshed["tools_total"] - 1
            for _ in range(3):
                assert call(house, "toy__greet", name="Ada").json["code"] == "tool_not_found"
            assert call(house, "toy__echo", text="hi").status == 200

            (change,) = house.ask("GET", f"{SERVERS}/toy/changes", house.bearer).json["items"]
            assert [
                line for line in change["diff"].splitlines()[2:] if line.startswith(("-", "+"))
            ] == ['-  "description": "Greet a person.",', '+  "description": "Greet a person,",']
            assert (change["old"]["description"], change["new"]["description"]) == (
                "Greet a person.",
                "Greet a person,",
            )

            server.restart("--greet-description", "Greet a person;")
            house.ask("POST", f"{SERVERS}/refresh", house.bearer)
            accept = f"{SERVERS}/toy/changes/greet/accept"
            read = {"sha256": change["sha256"]}
            stale = house.ask("POST", accept, house.bearer, read)
            assert (stale.status, stale.json["code"]) == (409, "conflict")
            assert call(house, "toy__greet", name="Ada").json["code"] == "tool_not_found"
            assert server.journal_lines() == []

            (change,) = house.ask("GET", f"{SERVERS}/toy/changes", house.bearer).json["items"]
            accepted = house.ask("POST", accept, house.bearer, {"sha256": change["sha256"]})
            assert (accepted.status, accepted.json["changed_tools"]) == (200, [])
            waiting = call(house, "toy__greet", name="Ada")
            assert waiting.status == 202  # The gate asks about it, as about any tool that writes.
            approve = f"/api/approvals/{waiting.json['approval']['id']}/approve"
            assert house.ask("POST", approve, house.bearer, {}).status == 200
            until(house, lambda _: server.journal_lines() == ["greeted Ada"])
            assert house.ask("GET", f"{SERVERS}/toy/changes", house.bearer).json["items"] == []
