"""What every test folder shares: no network, free ports, real processes."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from re import Match

import pytest

from tests.network_guard import forbid_network
from tests.processes import Program, started


def pytest_configure() -> None:
    forbid_network()


@pytest.fixture
def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[Program, Match[str]]]]:
    """`tests.processes.started` for programs that live as long as the test."""
    with ExitStack() as programs:
        yield lambda *command, **options: programs.enter_context(started(*command, **options))
