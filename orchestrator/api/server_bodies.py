"""What a request may say about servers, and what of it is refused."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from fastapi.exceptions import RequestValidationError
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationError,
    field_validator,
)

from orchestrator.domain.servers import MAX_SERVERS, ServerConfig, Trust
from orchestrator.errors import Conflict, NotFound
from orchestrator.settings import Settings, is_own_variable
from orchestrator.store.document_folder import Contents
from orchestrator.tools.addresses import AddressRule

_REACH = ("url", "trust", "token_file", "token_env", "token_secret")
_SOURCES = ("token_file", "token_env", "token_secret")
_ELSEWHERE = (
    "is another place, which would be shown the token that was given for the old one; give "
    "`token`, `token_env` or `token_secret` with it, or null"
)
_EXAMPLE: dict[str, Any] = {
    "id": "weather",
    "title": "Weather",
    "url": "https://weather.example.org/mcp",
    "token_env": "WEATHER_TOKEN",
    "disabled_tools": ["set_alarm"],
}
Place = tuple[str | int, ...]
"""Where in the body a server stands."""


class WriteOnlyToken(BaseModel):
    """A bearer token that goes into the vault and never comes out again."""

    token: SecretStr | None = Field(default=None, min_length=1, max_length=8192)
    """Is kept as the secret `mcp.ID`, in place of any other source of a token."""

    @field_validator("token")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces")
        return value


class ServerBody(ServerConfig, WriteOnlyToken):
    """One server, as it shall be."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class ServerListBody(BaseModel):
    """All servers, as they shall be."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"servers": [_EXAMPLE]}]}
    )

    servers: list[ServerBody] = Field(max_length=MAX_SERVERS)


class ServerPatch(WriteOnlyToken):
    """What shall be different; fields that are left out stay, null takes a token's source away."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    title: str | None = None
    url: str | None = None
    enabled: StrictBool | None = None
    trust: Trust | None = None
    token_file: str | None = None
    token_env: str | None = None
    token_secret: str | None = None
    call_timeout_s: float | None = None
    disabled_tools: tuple[str, ...] | None = None


def secret_of(server_id: str) -> str:
    """Return under which name the vault keeps the token of a server."""
    return f"mcp.{server_id}"


class ServerRules:
    """Decides about a change of the servers as a whole; raises RequestValidationError, Conflict.

    The methods take the documents and return them changed, as `Documents.change` wants it.
    """

    def __init__(self, settings: Settings) -> None:
        self._addresses = AddressRule(settings.private_server_hosts)

    def replaced(self, now: Contents, bodies: Sequence[ServerBody]) -> Contents:
        """Put these servers in place of all."""
        ids = [body.id for body in bodies]
        for index, server_id in enumerate(ids):
            if server_id in ids[:index]:
                raise Conflict(f"servers.{index}.id: {server_id!r} occurs twice; an id is for one.")
        servers: list[ServerConfig] = []
        for index, body in enumerate(bodies):
            fields = body.model_dump(exclude={"token"})
            place: Place = ("servers", index)
            servers.append(_config(fields, has_token=body.token is not None, place=place))
        for index, server in enumerate(servers):
            is_shown = bodies[index].token is None and server.token_secret == secret_of(server.id)
            self._check(now, server, ("servers", index), keeps_token=is_shown)
        return _with(now, servers)

    def patched(self, now: Contents, server_id: str, patch: ServerPatch) -> Contents:
        """Change one server. Raises NotFound, too."""
        old = configured(now, server_id)
        fields = old.model_dump() | patch.model_dump(exclude_unset=True, exclude={"token"})
        server = _config(fields, has_token=patch.token is not None, place=())
        named = patch.model_fields_set.intersection((*_SOURCES, "token"))
        is_kept = patch.token is None and server.token_secret == secret_of(server_id)
        self._check(now, server, (), keeps_token=is_kept or not named)
        servers = now.mcp_servers.servers
        return _with(now, [server if other.id == server_id else other for other in servers])

    def _check(
        self, now: Contents, server: ServerConfig, place: Place, *, keeps_token: bool
    ) -> None:
        """Refuse where a server is and what it is shown, unless it stands in the document so."""
        old = next((one for one in now.mcp_servers.servers if one.id == server.id), None)
        if old and all(getattr(old, field) == getattr(server, field) for field in _REACH):
            return
        refusals = list(self._refusals(now, server))
        is_taken_along = keeps_token and _has_source(server) and not refusals
        if old and is_taken_along and _origin(old.url) != _origin(server.url):
            refusals.append(("url", _ELSEWHERE))
        errors = [
            {"type": "value_error", "loc": ("body", *place, field), "msg": why, "input": None}
            for field, why in refusals
        ]
        if errors:
            raise RequestValidationError(errors)

    def _refusals(self, now: Contents, server: ServerConfig) -> Iterable[tuple[str, str]]:
        if server.trust == "third_party":
            if why := self._addresses.refusal(server.url):
                yield "url", why
            if server.token_file is not None:
                yield "token_file", "is for servers of the fleet; use token_env or token_secret"
        is_open = urlsplit(server.url).scheme == "http" and self._addresses.is_abroad(server.url)
        if is_open and _has_source(server):
            yield "url", "must be https://, or its token could be read on the way"
        given = [field for field in _SOURCES if getattr(server, field) is not None]
        if len(given) > 1:
            yield given[-1], f"comes beside {given[0]}; a token has one source"
        endpoints = now.model_settings.endpoints.values()
        keys = {endpoint.api_key_env for endpoint in endpoints}
        if server.token_env is not None and (
            server.token_env in keys or is_own_variable(server.token_env)
        ):
            yield "token_env", f"{server.token_env} is Flotilla's own and is shown to no server"
        secret, taken = server.token_secret, {endpoint.api_key_secret for endpoint in endpoints}
        if secret is not None and secret in taken:
            yield "token_secret", f"{secret} is the key of a model endpoint"
        if secret is not None and secret.startswith("mcp.") and secret != secret_of(server.id):
            yield "token_secret", f"{secret} is the token of another server"


def without(now: Contents, server_id: str) -> Contents:
    """Forget a server. Raises NotFound."""
    configured(now, server_id)
    return _with(now, [server for server in now.mcp_servers.servers if server.id != server_id])


def switched(now: Contents, server_id: str, tool: str, *, enabled: bool) -> Contents:
    """Switch one tool of a server on or off. Raises NotFound for the server."""
    old = configured(now, server_id)
    disabled = tuple(name for name in old.disabled_tools if name != tool)
    names = disabled if enabled else (*disabled, tool)
    new = _config(old.model_dump() | {"disabled_tools": names}, has_token=False, place=())
    servers = now.mcp_servers.servers
    return _with(now, [new if other is old else other for other in servers])


def configured(now: Contents, server_id: str) -> ServerConfig:
    """Return the configuration of a server. Raises NotFound."""
    for server in now.mcp_servers.servers:
        if server.id == server_id:
            return server
    raise NotFound(f"There is no server {server_id!r}.")


def _with(now: Contents, servers: Sequence[ServerConfig]) -> Contents:
    """Return the documents with these servers; one of the fleet that goes is not added again."""
    kept = {server.id for server in servers}
    gone = {
        old.id for old in now.mcp_servers.servers if old.trust == "fleet" and old.id not in kept
    }
    known = (*now.mcp_servers.known_fleet, *sorted(gone - set(now.mcp_servers.known_fleet)))
    changes = {"servers": tuple(servers), "known_fleet": known}
    return replace(now, mcp_servers=now.mcp_servers.model_copy(update=changes))


def _has_source(server: ServerConfig) -> bool:
    return any(getattr(server, field) is not None for field in _SOURCES)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _config(fields: dict[str, Any], *, has_token: bool, place: Place) -> ServerConfig:
    if has_token:
        fields |= dict.fromkeys(_SOURCES) | {"token_secret": secret_of(fields["id"])}
    try:
        return ServerConfig.model_validate(fields)
    except ValidationError as error:
        problems = [
            {**problem, "loc": ("body", *place, *problem["loc"])} for problem in error.errors()
        ]
        raise RequestValidationError(problems) from error
