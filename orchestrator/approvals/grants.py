"""Grants: what shows a server that the owner allowed exactly one call.

A grant is `PAYLOAD.SIGNATURE`, both in base64url without padding: the payload is canonical JSON,
the signature the HMAC-SHA256 of the first part under a key that only this server and we can read.
It is not the server's bearer token, which every MCP client of the owner has.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from orchestrator.approvals.canonical import call_hash, canonical_json
from orchestrator.errors import ToolError
from orchestrator.store.key_files import KeyFileUnusable, kept_key

LIFE_S = 600
"""Long enough for a slow connection: a grant is minted when the call is sent."""

GrantScope = Literal["once", "standing"]
"""`standing` does not open level 3, nor a limit."""


class GrantKeys:
    """Signs grants with one key per server, in `data_dir`/grant_keys/SERVER."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "grant_keys"

    def mint(
        self,
        server: str,
        tool: str,
        *,
        owner: str,
        call_id: str,
        arguments: Mapping[str, Any],
        scope: GrantScope,
        by: str,
        taint: Sequence[str] = (),
        grant_id: str,
        account: str | None = None,
    ) -> str:
        """Return a grant for this call, good for ten minutes.

        One of scope `once` is for the account that it was approved for, and for no other.

        `tool` is the server's own name of it, `owner` the owner's name. The server binds `grant_id`
        to the first `call_id` it comes with. The key is made when the server has none yet. Raises
        ToolError when the key file cannot be used or the arguments are not JSON.
        """
        try:
            exactly = call_hash(owner=owner, server=server, tool=tool, arguments=arguments)
        except ValueError as error:
            raise ToolError(f"The arguments of {tool!r} cannot be written as JSON.") from error
        payload = {
            "v": 1,
            "id": grant_id,
            "owner": owner,
            "server": server,
            "tool": tool,
            "call_id": call_id,
            "hash": exactly,
            "exp": int(time.time()) + LIFE_S,
            "scope": scope,
            "by": by,
            "taint": list(taint),
        }
        payload |= {"account": account} if scope == "once" else {}
        signed = _base64url(canonical_json(payload))
        key = self._key(server)
        return f"{signed}.{_base64url(hmac.digest(key, signed.encode(), hashlib.sha256))}"

    def _key(self, server: str) -> bytes:
        """Read anew each time, so that a key the owner changed is used at once."""
        try:
            return kept_key(self._folder / server)
        except KeyFileUnusable as error:
            raise ToolError(str(error)) from error


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
