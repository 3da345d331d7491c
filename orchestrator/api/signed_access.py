"""Addresses that we signed: the content of one file, for reading, without a login."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import Scope

from orchestrator.attachments.signing import ContentSigner

_PATH = re.compile(r"/api/attachments/(att_[0-9a-f]{26})(/content)?")
_NUMBER = re.compile(r"[0-9]{1,12}")
_STATE = "signed_attachment"


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """What an address claims; nothing is verified yet."""

    attachment_id: str
    expires: int
    disposition: str
    signature: str


def is_one_attachment(path: str) -> bool:
    """Tell whether `path` is that of one file or of its content."""
    return _PATH.fullmatch(path) is not None


def signed_address(scope: Scope) -> SignedAddress | None:
    """Return the signed address that is asked for: the content of a file, for GET and HEAD."""
    match = _PATH.fullmatch(scope["path"])
    if match is None or not match[2] or scope.get("method") not in ("GET", "HEAD"):
        return None
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
    except ValueError:  # More fields than any address of ours has.
        return None
    given = [query.get(name, []) for name in ("expires", "disposition", "signature")]
    if any(len(values) != 1 for values in given):
        return None
    (expires,), (disposition,), (signature,) = given
    if not _NUMBER.fullmatch(expires):
        return None
    return SignedAddress(match[1], int(expires), disposition, signature)


def open_with(signer: ContentSigner, scope: Scope, address: SignedAddress) -> None:
    """Let the request read that file. Raises Forbidden unless we signed the address."""
    signer.verify(
        scope["method"],
        address.attachment_id,
        expires=address.expires,
        disposition=address.disposition,
        signature=address.signature,
    )
    scope["state"][_STATE] = address.attachment_id


def has_signature(scope: Scope, attachment_id: str) -> bool:
    """Tell whether a signature opened that file to the request."""
    return scope["state"].get(_STATE) == attachment_id
