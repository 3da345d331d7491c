"""One question over plain HTTP to a program of this machine or of the owner's network."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx2
from pydantic import TypeAdapter, ValidationError

MAX_BYTES = 65_536
_OBJECT = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: dict[str, Any]
    """Empty when it was not a JSON object."""


class Refused(Exception):
    """Nobody listens there."""


class Silent(Exception):
    """Somebody listens, but gave no HTTP answer in time."""


def probe(
    url: str, headers: Mapping[str, str] = MappingProxyType({}), *, timeout_s: float
) -> Reply:
    """Return the answer to GET. Raises Refused, Silent."""
    tls = ssl.create_default_context() if url.startswith("https:") else _no_tls()
    try:
        with (
            httpx2.Client(verify=tls, trust_env=False, timeout=timeout_s) as client,
            client.stream("GET", url, headers=dict(headers)) as response,
        ):
            return Reply(response.status_code, _object(response))
    except httpx2.ConnectError as error:
        raise Refused from error
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        raise Silent from error


def _no_tls() -> ssl.SSLContext:
    """A bare context spares loading the authorities' certificates."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _object(response: httpx2.Response) -> dict[str, Any]:
    text = b""
    for chunk in response.iter_raw():
        text += chunk
        if len(text) > MAX_BYTES:
            return {}
    try:
        return _OBJECT.validate_json(text)
    except ValidationError:
        return {}
