"""`up`: several servers, each in its own process, kept alive and taken down together."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from servers.kit.supervisor import HEALTHY_AFTER_S, Child

pytestmark = pytest.mark.fault

STOP_LIMIT_S = 5
DIE_LIMIT_S = 10

Event = dict[str, Any]
Up = subprocess.Popen[str]
Start = Callable[..., AbstractContextManager[Up]]

# The parent of `up` in one test: starts it, passes its lines on, and waits.
PARENT = """
import signal, subprocess, sys
subprocess.Popen(sys.argv[1:])
signal.pause()
"""
# Two servers that are no servers: one serves, one can never start.
SUPERVISED = """
import json, signal, sys
from dataclasses import asdict
from servers.kit.supervisor import Supervisor
def say(event):
    # One write a line: two processes share this pipe.
    sys.stdout.write(json.dumps(event) + "\\n")
    sys.stdout.flush()
def serve(on_ready):
    on_ready("http://here")
    signal.pause()
def fail(on_ready):
    say({"server": "bad", "state": "tried"})
    raise SystemExit(3)
Supervisor({"good": serve, "bad": fail}, lambda event: say(asdict(event))).run()
"""


def next_event(up: Up) -> Event:
    assert up.stdout is not None
    line = up.stdout.readline()
    assert line, "`up` ended"
    return json.loads(line)


def two_ready(up: Up) -> dict[str, Event]:
    events = [next_event(up), next_event(up)]
    assert {event["state"] for event in events} == {"ready"}
    return {event["server"]: event for event in events}


def wait_until_gone(pids: list[int]) -> None:
    """Returns when none of the processes runs any more; the limit fails the test."""
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([process], [], [], DIE_LIMIT_S)
        os.close(process)
        assert ended, f"{pid} is still running"


def health(event: Event) -> int:
    url = event["url"].removesuffix("/mcp") + "/health"
    return httpx2.get(url, timeout=DIE_LIMIT_S, verify=False).status_code


@pytest.fixture
def start_up(fleet_copy: Path, tmp_path: Path) -> Start:
    """Starts `up` for two small servers of a copied fleet."""

    @contextmanager
    def start(*before: str) -> Generator[Up]:
        up = subprocess.Popen(
            [*before, sys.executable, "-m", "servers", "up", "left", "right", "--port=0", "--json"],
            cwd=fleet_copy,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "FLOTILLA_DATA_DIR": str(tmp_path)},
        )
        try:
            yield up
        finally:
            up.terminate()
            up.wait(DIE_LIMIT_S)
            assert up.stdout is not None
            up.stdout.close()

    return start


def test_each_server_has_its_own_process_and_token(start_up: Start, tmp_path: Path) -> None:
    with start_up() as up:
        ready = two_ready(up)
        assert len({up.pid, *(event["pid"] for event in ready.values())}) == 3
        assert [health(event) for event in ready.values()] == [200, 200]

    tokens = [path.read_text(encoding="ascii") for path in (tmp_path / "tokens").iterdir()]
    assert len(set(tokens)) == 2


def test_a_killed_server_comes_back_and_the_other_never_notices(start_up: Start) -> None:
    with start_up() as up:
        ready = two_ready(up)
        os.kill(ready["left"]["pid"], signal.SIGKILL)

        down, back = next_event(up), next_event(up)
        assert (down["server"], down["state"]) == ("left", "down")
        assert (back["server"], back["state"]) == ("left", "ready")
        assert back["pid"] != ready["left"]["pid"]
        assert health(back) == 200
        assert health(ready["right"]) == 200


def test_a_frozen_server_neither_stops_the_other_nor_the_stop(start_up: Start) -> None:
    with start_up() as up:
        ready = two_ready(up)
        os.kill(ready["left"]["pid"], signal.SIGSTOP)
        assert health(ready["right"]) == 200

        up.terminate()
        assert up.wait(STOP_LIMIT_S) == 0
        wait_until_gone([event["pid"] for event in ready.values()])


def test_a_killed_supervisor_leaves_no_server_behind(start_up: Start) -> None:
    with start_up() as up:
        ready = two_ready(up)
        os.kill(ready["left"]["pid"], signal.SIGSTOP)
        up.kill()

        wait_until_gone([event["pid"] for event in ready.values()])


def test_the_supervisor_stops_when_its_parent_is_gone(start_up: Start) -> None:
    with start_up(sys.executable, "-c", PARENT) as parent:
        ready = two_ready(parent)
        parent.kill()

        wait_until_gone([event["pid"] for event in ready.values()])


def test_a_server_that_cannot_start_is_reported_once() -> None:
    up = subprocess.Popen([sys.executable, "-c", SUPERVISED], stdout=subprocess.PIPE, text=True)
    events: list[Event] = []
    try:
        # The third try tells that the second one's end has been handled.
        while [event["state"] for event in events].count("tried") < 3:
            events.append(next_event(up))
        up.send_signal(signal.SIGINT)
        out, _ = up.communicate(timeout=STOP_LIMIT_S)
    finally:
        up.kill()
        up.communicate()

    assert up.returncode == 0
    events += [json.loads(line) for line in out.splitlines()]
    states = sorted((event["server"], event["state"]) for event in events)
    assert states == [("bad", "down"), *[("bad", "tried")] * 3, ("good", "ready")]


def test_delays_double_up_to_30_s_and_start_anew_after_a_minute_of_health() -> None:
    child = Child("left", lambda on_ready: None)
    delays: list[float] = []
    for _ in range(9):
        child.plan_restart(now_s=0.0)
        delays.append(child.due_at_s)
    child.plan_restart(now_s=HEALTHY_AFTER_S)

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert child.due_at_s == HEALTHY_AFTER_S + 0.5


def told(up: Up, *names: str) -> None:
    assert up.stdin is not None
    up.stdin.write(" ".join(names) + "\n")
    up.stdin.flush()


def wait_for_pending(pid: int, number: signal.Signals) -> None:
    """Wait until a frozen process was sent the signal, or was killed because it did not obey."""
    pending = 0
    with suppress(FileNotFoundError, ProcessLookupError):
        while not pending & 1 << (number - 1):
            time.sleep(0.01)
            status = Path(f"/proc/{pid}/status").read_text()
            pending = int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16)


def test_servers_start_and_end_as_they_are_ordered(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "servers", "up", "--json", "--orders", "--port", "0"]
    environment = {**os.environ, "FLOTILLA_DATA_DIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as up:
        try:
            told(up, "calculator")
            first = next_event(up)
            assert (first["server"], first["state"]) == ("calculator", "ready")
            told(up, "calculator", "housekeeping", "no_such_server")
            second = next_event(up)
            assert (second["server"], second["state"]) == ("housekeeping", "ready")
            os.kill(second["pid"], signal.SIGSTOP)
            told(up, "calculator")
            wait_for_pending(second["pid"], signal.SIGTERM)
            told(up, "calculator", "housekeeping")
            assert next_event(up) == {**second, "url": "", "state": "down"}
            again = next_event(up)
            assert (again["server"], again["state"]) == ("housekeeping", "ready")
            assert again["pid"] != second["pid"]
            told(up)
            ended = {next_event(up)["server"], next_event(up)["server"]}
            assert ended == {"calculator", "housekeeping"}
            up.send_signal(signal.SIGTERM)
            assert up.wait(STOP_LIMIT_S) == 0
        finally:
            up.kill()
