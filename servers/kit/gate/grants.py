"""Grants: signed permissions for exactly one call, as the orchestrator gives them."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.token import kept_secret

CREDENTIAL_NAME = "grant_key"
_REQUEST_STATE_LABEL = b"flotilla request state 1"


class GrantRefused(Exception):
    """A grant does not permit this call; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified grant says."""

    v: Literal[1]
    id: str
    owner: str
    server: str
    tool: str
    call_id: str
    hash: str
    exp: int
    """Unix seconds from which on it is worth nothing."""
    scope: Literal["once", "standing"]
    by: Literal["web", "terminal", "api", "standing approval", "undo"]
    taint: tuple[str, ...]
    account: str | None = None
    """For whom one call was approved; a standing permission is for all accounts."""


_GRANT = TypeAdapter(Grant)


def grant_key_file(server: str) -> Path:
    """Where a server's grant key is kept, relative to the data directory."""
    return Path("grant_keys", server)


def grant_key(server: str, settings: KitSettings, systemd: SystemdSettings) -> bytes:
    """The key that grants for `server` are signed with: the characters of its file.

    Not the bearer token, which clients such as Claude Desktop have. The file is made by whichever
    side comes first. Raises TokenError as `kept_secret` does.
    """
    path = settings.data_dir / grant_key_file(server)
    return kept_secret(path, CREDENTIAL_NAME, systemd).encode("ascii")


def request_state_key(key: bytes) -> bytes:
    """32 bytes derived from the grant key, to seal what an elicitation has to remember."""
    return hmac.digest(key, _REQUEST_STATE_LABEL, hashlib.sha256)


def verified_grant(
    text: str,
    key: bytes,
    *,
    owner: str,
    server: str,
    tool: str,
    call_id: str,
    call_hash: str,
    now_s: float,
) -> Grant:
    """The grant in `text`, if it permits exactly this call now. Raises GrantRefused.

    That it is used once only is the journal's to keep.
    """
    grant = _signed(text, key)
    expected = {
        "server": server,
        "owner": owner,
        "tool": tool,
        "call_id": call_id,
        "hash": call_hash,
    }
    for field, value in expected.items():
        if getattr(grant, field) != value:
            raise GrantRefused(_OTHERS[field])
    if now_s >= grant.exp:
        raise GrantRefused("The grant has expired; ask for a new approval.")
    return grant


_OTHERS = {
    "server": "The grant is for another server.",
    "owner": "The grant is from another owner.",
    "tool": "The grant is for another tool.",
    "call_id": "The grant is for another call.",
    "hash": "The grant is for other arguments.",
}


def _signed(text: str, key: bytes) -> Grant:
    payload, _, signature = text.partition(".")
    expected = _base64url(hmac.digest(key, _bytes(payload), hashlib.sha256))
    # The texts are compared, not the bytes: base64 has more than one text for the same bytes.
    if not hmac.compare_digest(_bytes(expected), _bytes(signature)):
        raise GrantRefused("The grant is not signed with the key of this server.")
    try:
        content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return _GRANT.validate_json(content, strict=True)
    except (ValueError, ValidationError) as error:
        raise GrantRefused("The grant cannot be read by this version of the server.") from error


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    # Lone surrogates, which JSON can carry, must be a wrong signature and not a fault.
    return text.encode(errors="surrogatepass")
