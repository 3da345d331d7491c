"""Strict reading of Host and Origin: the defence against DNS rebinding and foreign web pages."""

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_AUTHORITY = re.compile(
    rf"(?:\[(?P<ipv6>[0-9a-f:.]{{2,45}})\]|(?P<name>{_LABEL}(?:\.{_LABEL})*))(?::(?P<port>[0-9]{{1,5}}))?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """A host in lower case and its port, None when it was not given."""

    host: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """The parts of `host[:port]`, or None for anything that is not exactly that."""
    match = _AUTHORITY.fullmatch(text.lower())
    if match is None:
        return None
    port = int(match["port"]) if match["port"] is not None else None
    if port is not None and not 0 < port <= 65535:
        return None
    if match["ipv6"] is None:
        return Authority(match["name"], port)
    try:
        return Authority(str(IPv6Address(match["ipv6"])), port)
    except AddressValueError:
        return None


def is_allowed_host(host: str, allowed_hosts: Collection[str]) -> bool:
    """Whether a Host header names this machine's loopback or an allowed host."""
    authority = parse_authority(host)
    return authority is not None and authority.host in LOOPBACK_HOSTS | set(allowed_hosts)


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the very host and port the request was sent to."""
    scheme, separator, rest = origin.partition("://")
    default_port = _DEFAULT_PORTS.get(scheme.lower())
    theirs, ours = parse_authority(rest), parse_authority(host)
    if not separator or default_port is None or theirs is None or ours is None:
        return False
    return theirs.host == ours.host and (theirs.port or default_port) == (ours.port or default_port)
