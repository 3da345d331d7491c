"""Refuses every connection of the test process that would leave this machine.

An audit hook sees each connect and each name lookup of the interpreter, whoever kept a reference
to which function, and cannot be taken off again: it is meant for a process that only tests.
"""

import ipaddress
import socket
import sys
from typing import Any

ADDRESS_EVENTS = frozenset({"socket.connect", "socket.sendto"})
LOOKUP_EVENTS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})


class NetworkForbidden(AssertionError):
    """A test tried to reach another machine; not an OSError, so that no product code eats it."""


def forbid_network() -> None:
    """Install the guard for the rest of this process."""
    sys.addaudithook(_check)


def _check(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ADDRESS_EVENTS:
        connection, address = arguments
        if connection.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise NetworkForbidden(f"tests must not connect to {address!r}")
    elif event in LOOKUP_EVENTS and not _may_look_up(arguments[0]):
        raise NetworkForbidden(f"tests must not look up {arguments[0]!r}")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return _may_look_up(host)


def _may_look_up(host: str | bytes | None) -> bool:
    """Whether finding the address of `host` stays on this machine."""
    if not host:
        return True
    name = host.decode() if isinstance(host, bytes) else host
    if name in ("localhost", "0.0.0.0", "::") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name == socket.gethostname()
    return True
