import asyncio
import os
import sys
import time

import pytest

from orchestrator.cli.child import Child, ChildPlan
from tests.orchestrator.cli.conftest import wait_until_dead


def python(code):
    return lambda: [sys.executable, "-c", code]


@pytest.fixture
def said():
    return []


async def started(child, lines):
    task = asyncio.create_task(child.keep_running())
    async with asyncio.timeout(10):
        await lines.get()
    return task


def child_of(code, folder, said, name="small"):
    lines = asyncio.Queue()
    plan = ChildPlan(name, python(code), {"GREETING": "hello"}, lines.put_nowait)
    return Child(plan, folder, said.append), lines


WAITS = "import os, signal; print(os.environ['GREETING'], flush=True); signal.pause()"
STUBBORN = (
    "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); child = os.fork();"
    "os.write(1, b'%d\\n' % os.getpid())\nwhile True: signal.pause()"
)


async def test_a_child_that_dies_is_started_again_and_it_is_said_in_one_line(tmp_path, said):
    child, lines = child_of(WAITS, tmp_path, said)
    task = await started(child, lines)
    first = child.pid
    os.kill(first, 9)
    async with asyncio.timeout(10):
        await lines.get()
    assert child.pid not in (first, None)
    assert len(said) == 1
    assert said[0].startswith("small: ended (signal 9), starts again in 0.5 s.")
    task.cancel()
    await child.stop(5)
    assert child.pid is None


async def test_a_child_that_does_not_obey_is_killed_with_its_own_children(tmp_path, said):
    child, lines = child_of(STUBBORN, tmp_path, said)
    task = asyncio.create_task(child.keep_running())
    async with asyncio.timeout(10):
        pids = [int(await lines.get()), int(await lines.get())]
    task.cancel()
    began = time.monotonic()
    await child.stop(0.2)
    assert time.monotonic() - began < 3
    assert all(wait_until_dead(pid, 5) for pid in pids)


async def test_the_last_words_of_a_child_are_kept(tmp_path, said):
    child, _ = child_of("raise SystemExit('the port is taken')", tmp_path, said)
    task = asyncio.create_task(child.keep_running())
    async with asyncio.timeout(10):
        await child.died.wait()
    task.cancel()
    assert child.last_words() == "the port is taken"
    await child.stop(1)
