"""The ground all tests stand on: the network guard and the process helper."""

import signal
import socket
import sys

import pytest

from tests.network_guard import NetworkForbidden
from tests.processes import NotReady, started

WAITING = "import time; print('ready on 1234'); time.sleep(60)"


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_connecting_to_another_machine_is_refused_with_its_address(address: tuple[str, int]):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as connection, pytest.raises(NetworkForbidden, match=address[0]):
        connection.connect(address)


def test_looking_up_a_foreign_name_is_refused():
    with pytest.raises(NetworkForbidden, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)


def test_loopback_is_open():
    with (
        socket.create_server(("localhost", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1])),
    ):
        server.accept()[0].close()


def test_a_started_program_is_given_with_its_readiness_line():
    with started(sys.executable, "-c", WAITING, ready=r"ready on (\d+)") as (program, ready):
        assert ready[1] == "1234"
        assert program.process.poll() is None
    assert program.process.poll() is not None


def test_a_program_that_ends_before_it_is_ready_shows_what_it_printed():
    command = (sys.executable, "-c", "print('no such luck')")
    with pytest.raises(NotReady, match="no such luck"), started(*command, ready="ready"):
        pass


def test_a_frozen_program_is_ended_too():
    with started(sys.executable, "-c", WAITING, ready="ready") as (program, _):
        program.signal(signal.SIGSTOP)
        program.stop(patience_s=0.1)
        assert program.process.poll() is not None
