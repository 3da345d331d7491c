"""Short-lived links to files that a server keeps itself."""

import hashlib
import hmac
import re
from typing import Final

FILES_PATH: Final = "/files"
LIFE_S: Final = 15 * 60
_LABEL = b"flotilla file links 1"
_QUERY = re.compile(rb"expires=(?P<expires>[0-9]{1,12})&signature=(?P<signature>[0-9a-f]{64})")


def is_file_path(path: str) -> bool:
    """Whether a stored file is asked for."""
    return path.startswith(f"{FILES_PATH}/")


def link_key(grant_key: bytes) -> bytes:
    """The key of the links, derived from the secret that the server has anyway."""
    return hmac.digest(grant_key, _LABEL, hashlib.sha256)


def signed_path(attachment_id: str, key: bytes, now_s: float) -> str:
    """`/files/ID?expires=UNIX_SECONDS&signature=HEX`, good for 15 minutes."""
    path = f"{FILES_PATH}/{attachment_id}"
    expires = int(now_s) + LIFE_S
    return f"{path}?expires={expires}&signature={_signature(path, expires, key)}"


def is_good_link(method: str, path: str, query: bytes, key: bytes, now_s: float) -> bool:
    """Whether a request has a link that this server signed and that has not expired."""
    match = _QUERY.fullmatch(query)
    if match is None or method not in ("GET", "HEAD"):
        return False
    expires = int(match["expires"])
    # Compared as bytes: a path can have characters that are not ASCII.
    expected = _signature(path, expires, key).encode("ascii")
    return hmac.compare_digest(expected, match["signature"]) and now_s < expires


def _signature(path: str, expires: int, key: bytes) -> str:
    signed = f"GET\n{path}\n{expires}".encode(errors="surrogatepass")
    return hmac.new(key, signed, hashlib.sha256).hexdigest()
