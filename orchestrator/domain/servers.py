"""What a user configures about one server, and the document that holds all of them."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orchestrator.domain.web_address import check_web_address

NAME_OF_SECRET = r"^[a-z0-9][a-z0-9_.-]{0,63}$"  # noqa: S105 - a pattern
"""What a secret of the vault may be called."""
MAX_SERVERS = 200
OF_THE_TERMINAL = "cli"
"""The file in `tokens/` that holds the owner's own token, so that no server may be called so."""
ToolNames = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(max_length=1000)
]
"""Names of tools as their server uses them."""
Trust = Literal["fleet", "third_party"]
"""`fleet`: our own server, its policy is believed. `third_party`: nothing it says is."""


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, in order."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


class ServerConfig(BaseModel):
    """One configured server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    title: str = Field(default="", max_length=80)
    """Empty means: show the id."""
    url: str = Field(max_length=2048)
    enabled: StrictBool = True
    trust: Trust = "third_party"
    token_file: str | None = None
    """`tokens/ID`, relative to the data directory: the file that holds the bearer token."""
    token_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]{0,127}$")
    """Environment variable that holds the bearer token."""
    token_secret: str | None = Field(default=None, pattern=NAME_OF_SECRET)
    """Name of the secret in the vault that is the bearer token."""
    call_timeout_s: float = Field(default=30, gt=0, le=3600)
    disabled_tools: ToolNames = ()

    @field_validator("id")
    @classmethod
    def _leaves_the_separator_to_qualified_names(cls, value: str) -> str:
        if "__" in value or value.endswith("_"):
            raise ValueError(
                "must not contain '__' nor end with '_', which separate it from a tool"
            )
        return value

    @field_validator("id")
    @classmethod
    def _is_no_name_of_our_own(cls, value: str) -> str:
        if value == OF_THE_TERMINAL:
            raise ValueError("is taken by the terminal; choose another")
        return value

    @field_validator("url")
    @classmethod
    def _is_an_http_address(cls, value: str) -> str:
        check_web_address(value)
        return value

    @field_validator("token_file")
    @classmethod
    def _is_its_own(cls, value: str | None, info: ValidationInfo) -> str | None:
        server_id = info.data.get("id", "ID")
        if value not in (None, f"tokens/{server_id}"):
            raise ValueError(f"must be 'tokens/{server_id}' or null")
        return value

    @property
    def shown_title(self) -> str:
        return self.title or self.id

    def reaches_the_same_place_as(self, other: "ServerConfig") -> bool:
        """Tell whether a change from `other` to this needs no new connection."""
        fields = ("id", "url", "enabled", "trust", "token_file", "token_env", "token_secret")
        return all(getattr(self, name) == getattr(other, name) for name in fields)


class ServersDocument(BaseModel):
    """The content of `data/mcp_servers.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    servers: tuple[ServerConfig, ...] = ()
    known_fleet: tuple[str, ...] = ()
    """Servers of the fleet that were added once: one that the owner removed stays away."""

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [server.id for server in self.servers]
        if twice := repeated(ids):
            raise ValueError(f"each server id may occur once, found again: {', '.join(twice)}")
        return self
