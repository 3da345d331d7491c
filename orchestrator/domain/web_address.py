"""Addresses that a user configures: of servers and of model endpoints."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,254}}$){_LABEL}(\.{_LABEL})*\.?")


def check_web_address(text: str) -> SplitResult:
    """Return the parts of an address that requests can be sent to, exactly as it is written.

    Raises ValueError with what to write instead.
    """
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("must be written without spaces, and other letters in Punycode (xn--...)")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; a token has fields of its own")
    if not _is_host(parts.hostname):
        raise ValueError(f"{parts.hostname[:100]!r} is no name of a host and no address")
    _check_port(parts)
    return parts


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _NAME.fullmatch(text) is not None
    try:
        # A zone, which follows a percent sign, would be one of this machine only.
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _check_port(parts: SplitResult) -> None:
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ValueError("must have a port from 1 to 65535, or none")
