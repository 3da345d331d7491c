"""Checks V4 signed addresses as Cloud Storage does; emulators let every signature pass."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

EMAIL = "files@flotilla-tests.iam.gserviceaccount.com"
LONGEST_LIFE_S = 604_800
SIGNATURE = "X-Goog-Signature"
PARAMETERS = frozenset(
    {
        "X-Goog-Algorithm",
        "X-Goog-Credential",
        "X-Goog-Date",
        "X-Goog-Expires",
        "X-Goog-SignedHeaders",
        SIGNATURE,
    }
)


class Refused(Exception):
    """An address that gives nothing; has the status and code of Cloud Storage."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Account:
    """A service account that signs, and its key."""

    key: rsa.RSAPrivateKey

    @classmethod
    def new(cls) -> "Account":
        return cls(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))

    def write(self, path: Path) -> Path:
        """Write the key as Google hands it out."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        written = {
            "type": "service_account",
            "project_id": "flotilla-tests",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "token_uri": "http://127.0.0.1:9/token",
        }
        path.write_text(json.dumps(written))
        return path

    def check(
        self, method: str, path: str, query: str, headers: Mapping[str, str], now: datetime
    ) -> None:
        """Raise Refused unless this account signed exactly this request, and not too long ago."""
        given = parse_qsl(query, keep_blank_values=True)
        values = dict(given)
        if len(values) != len(given) or not values.keys() >= PARAMETERS:
            raise Refused(403, "AccessDenied")
        scope = _scope(values)
        signed_headers = values["X-Goog-SignedHeaders"].split(";")
        if "host" not in signed_headers or signed_headers != sorted(signed_headers):
            raise Refused(400, "MissingSecurityHeader")
        canonical = "\n".join(
            (
                method,
                path,
                "&".join(sorted(f"{_quoted(k)}={_quoted(v)}" for k, v in given if k != SIGNATURE)),
                *(f"{name}:{headers.get(name, '').strip()}" for name in signed_headers),
                "",
                ";".join(signed_headers),
                "UNSIGNED-PAYLOAD",
            )
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = "\n".join((values["X-Goog-Algorithm"], values["X-Goog-Date"], scope, digest))
        self._verify(values[SIGNATURE], to_sign)
        _check_time(values, now)

    def _verify(self, signature: str, text: str) -> None:
        try:
            self.key.public_key().verify(
                bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, InvalidSignature):
            raise Refused(403, "SignatureDoesNotMatch") from None


def _scope(values: Mapping[str, str]) -> str:
    if values["X-Goog-Algorithm"] != "GOOG4-RSA-SHA256":
        raise Refused(400, "InvalidArgument")
    email, _, scope = values["X-Goog-Credential"].partition("/")
    if email != EMAIL or scope != f"{values['X-Goog-Date'][:8]}/auto/storage/goog4_request":
        raise Refused(400, "AuthorizationQueryParametersError")
    return scope


def _check_time(values: Mapping[str, str], now: datetime) -> None:
    life = values["X-Goog-Expires"]
    if not re.fullmatch(r"[1-9]\d*", life) or int(life) > LONGEST_LIFE_S:
        raise Refused(400, "AuthorizationQueryParametersError")
    begun = datetime.strptime(values["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if not begun - timedelta(minutes=15) <= now < begun + timedelta(seconds=int(life)):
        raise Refused(400, "ExpiredToken")


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
