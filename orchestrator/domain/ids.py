"""Identifiers: a prefix that names the kind, then 26 hexadecimal digits that sort by time."""

import secrets
import time

PREFIXES = (
    "own",
    "ses",
    "msg",
    "turn",
    "call",
    "use",
    "aud",
    "tok",
    "login",
    "appr",
    "ques",
    "stand",
    "att",
    "sug",
    "ctok",
)


def new_id(prefix: str) -> str:
    """Return e.g. `msg_0193...`: 12 digits of milliseconds since 1970, 14 random ones."""
    milliseconds = time.time_ns() // 1_000_000
    return f"{prefix}_{milliseconds:012x}{secrets.token_hex(7)}"
