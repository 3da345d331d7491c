"""Addresses of our own content route that give one attachment to whoever has them, for a while."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import urlencode

from orchestrator.attachments.blobs import checked_life, checked_name
from orchestrator.domain.attachments import Disposition
from orchestrator.errors import BlobStoreRefused, Forbidden
from orchestrator.store.key_files import KeyFileUnusable, kept_key

_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """Whole addresses of our own content route."""

    signer: "ContentSigner"
    origin: str

    def url(self, name: str, *, life_s: int, disposition: Disposition) -> str:
        """Return an address; raises as `ContentSigner.path`."""
        return self.origin + self.signer.path(name, life_s=life_s, disposition=disposition)


def signing_key(data_dir: Path) -> bytes:
    """Return the key in `data_dir`/keys/attachments; made when missing. Raises BlobStoreRefused."""
    try:
        return kept_key(data_dir / "keys" / "attachments")
    except KeyFileUnusable as error:
        raise BlobStoreRefused(str(error)) from error


class ContentSigner:
    """Signs `/api/attachments/ID/content` and knows its own signatures again."""

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock

    def path(self, attachment_id: str, *, life_s: int, disposition: Disposition) -> str:
        """Return path and query, good for `life_s` seconds, a day at most.

        Raises InvalidRequest.
        """
        expires = int(self._clock()) + checked_life(life_s)
        query = {
            "expires": expires,
            "disposition": disposition,
            "signature": self._signature(attachment_id, expires, disposition),
        }
        return f"/api/attachments/{checked_name(attachment_id)}/content?{urlencode(query)}"

    def verify(
        self, method: str, attachment_id: str, *, expires: int, disposition: str, signature: str
    ) -> Disposition:
        """Return the disposition that was signed. Raises Forbidden for anything but our own."""
        expected = self._signature(attachment_id, expires, disposition)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise Forbidden("This link is not one of ours, or somebody changed it.")
        if method not in _METHODS:
            raise Forbidden("This link is for reading only.")
        if self._clock() >= expires:
            raise Forbidden("This link has expired: ask for a new one.")
        for known in get_args(Disposition):
            if known == disposition:
                return known
        raise Forbidden("This link is not one of ours, or somebody changed it.")

    def _signature(self, attachment_id: str, expires: int, disposition: str) -> str:
        signed = "\n".join(("GET", attachment_id, str(expires), disposition))
        digest = hmac.digest(self._key, signed.encode(errors="replace"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
