"""Which processes are there: a number alone does not say it."""

import os
import subprocess
import sys
from dataclasses import replace

from servers.kit.gate.liveness import is_alive, this_process


def test_this_process_is_alive_and_each_opening_is_its_own() -> None:
    first, second = this_process(), this_process()

    assert is_alive(first)
    assert (first.pid, first.began) == (os.getpid(), second.began)
    assert first.opening != second.opening


def test_another_process_with_the_same_number_is_not_this_one() -> None:
    me = this_process()
    boot, tick = me.began.split("/")

    assert not is_alive(replace(me, began=f"{boot}/{int(tick) - 1}"))
    assert not is_alive(replace(me, began=f"another/{tick}"))


def test_a_killed_process_is_gone_before_and_after_it_is_waited_for() -> None:
    program = "import sys; from servers.kit.gate.liveness import this_process; p = this_process();"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{program} print(p.began, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    process = replace(this_process(), pid=child.pid, began=child.stdout.readline().strip())
    was_alive = is_alive(process)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    as_zombie = is_alive(process)
    child.communicate()

    assert (was_alive, as_zombie, is_alive(process)) == (True, False, False)


def test_where_the_system_tells_no_start_the_number_has_to_do() -> None:
    me = replace(this_process(), began="")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert is_alive(me)
    assert is_alive(replace(me, pid=1))
    assert not is_alive(replace(me, pid=child.pid))
