"""The one form of a call that approvals, grants and the journal are bound to."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Any) -> bytes:  # Any: whatever JSON can say
    """`value` as UTF-8 JSON with sorted keys and no spaces.

    Raises ValueError for what JSON cannot say: NaN, infinities, lone surrogates.
    """
    return _ENCODER.encode(value).encode()


def call_hash(*, owner: str, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
    """SHA-256 in hex of one call: `arguments` as received, before validation changes them.

    Raises ValueError as canonical_json does.
    """
    call = {"owner": owner, "server": server, "tool": tool, "arguments": dict(arguments)}
    return hashlib.sha256(canonical_json(call)).hexdigest()
