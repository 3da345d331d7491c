"""A new access token for a refresh token, by google-auth.

Imported with the first refresh: it costs 1 MB.
"""

import json
import ssl
from collections.abc import Mapping
from typing import Any, cast

import httpx2
from google.auth.exceptions import RefreshError, TransportError
from google.oauth2.credentials import Credentials

from servers.kit.accounts.provider import NotConfigured, SignInEnded
from servers.kit.errors import Unavailable
from servers.kit.google.settings import GoogleSettings

TIMEOUT = httpx2.Timeout(connect=5, read=30, write=5, pool=5)
MAX_ANSWER_BYTES = 256 * 1024
_CLIENT_ERRORS = frozenset(
    {"invalid_client", "unauthorized_client", "deleted_client", "disabled_client"}
)
# google-auth would ask three times, a second apart, while other calls wait.
_PASSING_ERRORS = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})


def renewed(settings: GoogleSettings, refresh_token: str, tls: ssl.SSLContext) -> dict[str, Any]:
    """What Google answers: access_token, expires_in, and perhaps another refresh_token.

    Blocks. Raises SignInEnded, NotConfigured and Unavailable.
    """
    client = settings.client
    wire = _Wire(tls)
    # Any: `refresh` of the library has no types.
    credentials: Any = Credentials(
        token=None,
        refresh_token=refresh_token,
        token_uri=settings.oauth_token_uri,
        client_id=client.client_id,
        client_secret=client.client_secret,
    )
    try:
        credentials.refresh(wire)
    except TransportError as error:
        raise Unavailable("Google cannot renew the sign-in now.") from error
    except RefreshError as error:
        raise _failure(wire.answer) from error
    return wire.answer


class _Wire:
    """The transport that google-auth sends the one request with."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self.answer: dict[str, Any] = {}

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> "_Answer":
        """Raises TransportError, which google-auth does not answer with another attempt."""
        try:
            with (
                httpx2.Client(verify=self._tls, timeout=TIMEOUT, trust_env=False) as http,
                http.stream(method, url, content=body, headers=_identity(headers)) as response,
            ):
                content = _content(response)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise TransportError("the connection broke off") from error
        if response.status_code >= 500 or response.status_code in (408, 429):
            raise TransportError(f"status {response.status_code}")
        self.answer = _json(content)
        return _Answer(response.status_code, response.headers, content)


class _Answer:
    """As google-auth reads it."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _failure(answer: Mapping[str, Any]) -> Exception:
    """What the answer without a token means."""
    code = str(answer.get("error"))
    said = str(answer.get("error_description") or code)
    if code in _CLIENT_ERRORS:
        return NotConfigured(f"Google does not take the client id or its secret: {said}")
    if code != "invalid_grant":
        return SignInEnded(f"Google does not renew the sign-in: {said}")
    if str(answer.get("error_subtype")) in ("invalid_rapt", "rapt_required"):
        return SignInEnded("The owner's organisation wants a new sign-in from time to time.")
    return SignInEnded(f"Google ended the sign-in: {said}")


def _identity(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {**(headers or {}), "accept-encoding": "identity"}


def _content(response: httpx2.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise httpx2.ReadError("the answer is too long")
    return bytes(content)


def _json(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise TransportError("the answer is no JSON") from error
    if not isinstance(answer, dict):
        raise TransportError("the answer is no object")
    found = cast("dict[str, Any]", answer)
    if found.get("error") in _PASSING_ERRORS:
        raise TransportError(str(found["error"]))
    return found
