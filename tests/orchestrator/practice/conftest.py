"""The practice server as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

Start = Callable[..., AbstractContextManager[str]]


@contextmanager
def run_practice(*options: str, **environment: str) -> Iterator[str]:
    command = [sys.executable, "-m", "orchestrator.practice", "--port", "0", *options]
    env = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def start_practice() -> Start:
    return run_practice


@pytest.fixture(scope="session")
def practice_url() -> Iterator[str]:
    with run_practice("--pace-ms", "0") as url:
        yield url
