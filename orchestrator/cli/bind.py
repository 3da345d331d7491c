"""Where the orchestrator may listen, and whether it can."""

import ipaddress
import socket
from contextlib import suppress

from orchestrator.cli.complaint import Complaint
from orchestrator.settings import Settings


def refuse_open_bind(settings: Settings) -> None:
    """Raise Complaint when others could reach us without TLS."""
    has_https = any(origin.startswith("https:") for origin in settings.public_origins)
    if not (_is_loopback(settings.host) or has_https or settings.allow_plain_http):
        raise Complaint(
            f"FLOTILLA_HOST={settings.host} can be reached from other machines. Put a proxy with "
            "TLS in front and name its address in FLOTILLA_PUBLIC_ORIGINS (https://...), or set "
            "FLOTILLA_ALLOW_PLAIN_HTTP=true if you know that nobody listens in."
        )


def listener(host: str, port: int, variable: str = "FLOTILLA_PORT") -> socket.socket:
    """Return a bound socket. Raises Complaint, naming the setting, when it cannot be had."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
    except OSError as error:
        raise Complaint(f"FLOTILLA_HOST={host} is not an address of this machine.") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise Complaint(
            f"Port {port} on {host} cannot be had ({error.strerror}): set {variable} to a free one."
        ) from error
    return bound


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
