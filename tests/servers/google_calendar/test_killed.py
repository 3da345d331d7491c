"""A split whose process is killed between its two writes, and finished by the next one."""

import asyncio
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp.types import ElicitResult

from tests.fakes.google import FakeGoogle
from tests.fakes.google.faults import Fault
from tests.servers.google_calendar.test_writing import seen
from tests.servers.kit.process import ServerProcess, running_server


def talking_to(server: ServerProcess) -> Client[StreamableHttpTransport]:
    async def agree(*_: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"approve": True})

    transport = StreamableHttpTransport(server.url, auth=server.token)
    return Client(transport, elicitation_handler=agree)


@pytest.mark.usefixtures("client")
async def test_a_killed_split_leaves_nothing_out_and_is_finished(
    calendar: Any, google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gym = calendar.add(
        "Gym", "2026-10-05T07:00", "2026-10-05T08:00", recurrence=["RRULE:FREQ=WEEKLY;COUNT=6"]
    )
    third = calendar.occurrences(gym["id"])[2]
    arguments = {**seen(third), "title": "Swim", "scope": "following"}
    google.faults.next("calendar.events.patch", hang=True, status=503)
    arrived = threading.Event()
    take = google.faults.take

    def noticed(method: str) -> Fault | None:
        if method == "calendar.events.patch":
            arrived.set()
        return take(method)

    monkeypatch.setattr(google.faults, "take", noticed)
    # Where the server in this process has its sign-in.
    data_dir = tmp_path / "data"

    with running_server("google_calendar", data_dir) as server:
        async with talking_to(server) as client:
            call = asyncio.create_task(
                client.call_tool("update_event", arguments, raise_on_error=False)
            )
            assert await asyncio.to_thread(arrived.wait, 20)
            server.process.send_signal(signal.SIGKILL)
            call.cancel()
    google.faults.clear()
    halves = [one for one in calendar.events() if one.get("recurrence")]
    assert sorted(one["summary"] for one in halves) == ["Gym", "Swim"]
    with running_server("google_calendar", data_dir) as server:
        async with talking_to(server) as client:
            await client.call_tool("update_event", arguments)

    halves = [one["id"] for one in calendar.events() if one.get("recurrence")]
    left = [one["summary"] for each in halves for one in calendar.occurrences(each)]
    assert sorted(left) == ["Gym"] * 2 + ["Swim"] * 4
