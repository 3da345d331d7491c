"""One OpenAI-compatible service: where it is, how to sign in there, and what messages call it."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from orchestrator.domain.model_settings import OPENROUTER, Price
from orchestrator.errors import InvalidRequest

_MAX_QUOTE_CHARS = 400


@runtime_checkable
class Secret(Protocol):
    """A value that must be asked for, such as pydantic's `SecretStr`."""

    def get_secret_value(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL and the key for it. `name` and the two settings appear in error messages."""

    base_url: str
    api_key: str = field(repr=False)
    """Empty when the service needs none."""
    app_title: str
    app_url: str | None
    name: str
    key_setting: str
    url_setting: str
    is_openrouter: bool = True
    """False where OpenRouter's own request fields may be refused."""
    id: str = OPENROUTER
    """What stands before the `:` in the ids of its models."""
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    """What the owner says its models cost, by the names the endpoint gives them."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRequest(f"{self.url_setting} is not an http(s) URL. Correct it.")

    @property
    def host(self) -> str:
        """Host and port, without user or path."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    @property
    def hostname(self) -> str:
        """The host alone, in lower case."""
        return urlsplit(self.base_url).hostname or ""

    def model_id(self, wire_model: str) -> str:
        """Return the id that settings and rows have for a model of this endpoint."""
        return wire_model if self.id == OPENROUTER else f"{self.id}:{wire_model}"

    def url(self, path: str) -> str:
        return f"{self.base_url.rstrip('/')}/{path}"

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        headers = {
            # Compressed events would be held back by the compressor; and no bombs.
            "Accept-Encoding": "identity",
            "User-Agent": "flotilla",
        }
        if self.is_openrouter:
            headers["X-OpenRouter-Title"] = self.app_title
            if self.app_url:
                headers["HTTP-Referer"] = self.app_url
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return headers

    def quote(self, text: str) -> str:
        """Return text from upstream made safe to show: capped, one line, without the key."""
        if self.api_key:
            text = text.replace(self.api_key, "[key]")
        text = text[: 4 * _MAX_QUOTE_CHARS]
        plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return plain if len(plain) <= _MAX_QUOTE_CHARS else plain[: _MAX_QUOTE_CHARS - 1] + "…"


def speaks_openrouter(base_url: str) -> bool:
    """Tell whether OpenRouter's own fields are understood at an address.

    So it is at openrouter.ai, and at its path on this machine: the practice model, or a proxy.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host == "openrouter.ai" or host.endswith(".openrouter.ai"):
        return True
    return _is_this_machine(host) and parts.path.rstrip("/") == "/api/v1"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reveal(api_key: Secret | str | None) -> str:
    """Return the key as text; empty when there is none."""
    if isinstance(api_key, Secret):
        api_key = api_key.get_secret_value()
    return (api_key or "").strip()
