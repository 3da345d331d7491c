"""The audit trail of a server, checked row by row; `servers/kit/gate/audit.py` writes it."""

import hashlib
from collections.abc import Mapping
from typing import Any

from orchestrator.approvals.canonical import canonical_json


class Chain:
    """As much of a chain as was checked; it begins empty."""

    def __init__(self) -> None:
        self.position = 0
        """Of the last row that was taken."""
        self._hash = "0" * 64

    def take(self, row: Mapping[str, Any]) -> bool:
        """Take the next row, unless it was changed or does not follow on the last."""
        content = {name: row[name] for name in row if name != "hash"}
        is_next = row.get("position") == self.position + 1
        follows = is_next and row.get("previous_hash") == self._hash
        if not follows or row.get("hash") != _hash(content):
            return False
        self.position, self._hash = row["position"], row["hash"]
        return True

    def ends_with(self, position: int, row_hash: str) -> bool:
        """Tell whether this is the newest row: else some were cut off at the end."""
        return (self.position, self._hash) == (position, row_hash)


def _hash(content: Mapping[str, Any]) -> str:
    try:
        return hashlib.sha256(canonical_json(dict(content))).hexdigest()
    except ValueError:  # Not JSON: nobody could have hashed it.
        return ""
