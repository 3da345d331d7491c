"""New identifiers."""

import secrets
import time
import uuid
from typing import Literal

IdKind = Literal["uuid7", "ulid", "short"]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Without 0, 1, i, l, o and u: nothing to misread and no words.
_UNMISTAKABLE = "23456789abcdefghjkmnpqrstvwxyz"
_SHORT_LENGTH = 10


def new_id(kind: IdKind) -> str:
    """Return a new identifier; uuid7 and ulid sort by the millisecond they were made in."""
    match kind:
        case "uuid7":
            return str(_uuid7())
        case "ulid":
            return _ulid()
        case "short":
            return "".join(secrets.choice(_UNMISTAKABLE) for _ in range(_SHORT_LENGTH))


def _uuid7() -> uuid.UUID:
    """RFC 9562, section 5.7: 48 bits of milliseconds, version, variant, 74 random bits."""
    value = _milliseconds() << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def _ulid() -> str:
    """Crockford's base 32 of 48 bits of milliseconds and 80 random bits (github.com/ulid/spec)."""
    value = _milliseconds() << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
