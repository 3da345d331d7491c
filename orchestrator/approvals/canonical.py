"""The one form of a call that approvals and grants are bound to.

The servers' half is `servers/kit/gate/canonical.py`; a contract test compares the two.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MAX_ASKED_BYTES = 64 * 1024
"""The most that somebody is asked to approve: nobody reads more, and lists hold many."""


def canonical_json(value: Any) -> bytes:
    """Return the JSON text of `value` in UTF-8: keys sorted, no blanks.

    Raises ValueError for what JSON cannot say: NaN, infinities, half surrogate pairs.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def is_too_large_to_ask(arguments: Mapping[str, Any]) -> bool:
    """Tell whether nobody can be asked about so much. Raises as `canonical_json`."""
    return len(canonical_json(dict(arguments))) > MAX_ASKED_BYTES


def call_hash(*, owner: str, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
    """Return the SHA-256 that stands for exactly this call, in hexadecimal.

    `tool` is the name the server itself uses; `arguments` are those that came, before any
    conversion.
    """
    call = {"arguments": dict(arguments), "owner": owner, "server": server, "tool": tool}
    return hashlib.sha256(canonical_json(call)).hexdigest()
