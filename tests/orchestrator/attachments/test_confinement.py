"""What the process that reads a document can no longer do."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CONFINED = """
import os, sys, socket, subprocess
from orchestrator.attachments.extract_worker import confinement
"""


def run_confined(code: str, *, before: str = "") -> str:
    script = CONFINED + before + "\nconfinement.confine()\n" + textwrap.dedent(code)
    answer = subprocess.run(
        [sys.executable, "-B", "-c", script], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or f"exit {answer.returncode}"


@pytest.mark.parametrize(
    "attempt",
    [
        "open('{folder}/new', 'w')",
        "open('{folder}/old', 'a')",
        "os.open('{folder}/new', os.O_CREAT | os.O_WRONLY)",
        "os.remove('{folder}/old')",
        "os.rename('{folder}/old', '{folder}/new')",
        "os.kill(os.getppid(), 0)",
        "socket.socket()",
        "socket.getaddrinfo('localhost', 80)",
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.fork()",
    ],
)
def test_python_reaches_nothing_outside(attempt: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    code = f"""
        try:
            {attempt.format(folder=tmp_path)}
        except PermissionError as error:
            print("refused")
    """

    assert run_confined(code) == "refused"
    assert {path.name for path in tmp_path.iterdir()} == {"old"}


def test_the_kernel_refuses_to_write_even_to_what_is_open(tmp_path: Path) -> None:
    before = f"file = open('{tmp_path}/open', 'wb', buffering=0)"
    code = """
        try:
            file.write(b"x")
        except OSError as error:
            print(os.strerror(error.errno))
    """

    assert run_confined(code, before=before) == "File too large"


def test_memory_is_bounded() -> None:
    code = """
        try:
            bytearray(600 * 1024 * 1024)
        except MemoryError:
            print("too much")
    """

    assert run_confined(code) == "too much"


def test_the_network_is_gone_below_python_too() -> None:
    permitted = subprocess.run(["unshare", "--user", "--net", "true"], check=False).returncode == 0

    shown = run_confined("print(open('/proc/net/dev').read().count(':'))")

    assert shown == "1" if permitted else shown.isdigit()


@pytest.mark.parametrize("limit", ["CPU_SOFT_LIMIT_S = 1", "WALL_SOFT_LIMIT_S = 0.2"])
def test_time_up_passes_through_whoever_catches_everything(limit: str) -> None:
    code = """
        try:
            while True:
                try:
                    sum(range(1000))
                except Exception:
                    pass
        except confinement.TimeUp:
            print("time up")
    """

    assert run_confined(code, before=f"confinement.{limit}") == "time up"


def test_whoever_catches_even_that_is_killed() -> None:
    before = "confinement.CPU_SOFT_LIMIT_S = confinement.CPU_HARD_LIMIT_S = 1"
    code = """
        while True:
            try:
                sum(range(1000))
            except BaseException:
                pass
    """

    assert run_confined(code, before=before) == "exit -9"
