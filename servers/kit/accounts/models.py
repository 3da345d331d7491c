"""What is told of accounts and sign-ins."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Account(BaseModel):
    """An account somebody signed in to; times are UTC."""

    model_config = ConfigDict(frozen=True)

    account: str
    state: Literal["ok", "needs_sign_in"]
    is_default: bool
    capabilities: list[str]
    """The names of those it permits whole."""
    scopes: list[str]
    signed_in_at: datetime
    last_refresh_at: datetime | None
    works_until: datetime | None
    """When the provider ends it by itself; None for no known end."""
    problem: str | None
    """Why it needs a sign-in, and what to do, in a sentence for the owner."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that works now."""

    account: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignInBegun:
    """A sign-in that waits for its person."""

    url: str = field(repr=False)
    """Where the person goes, at the provider; the state is in it."""
    state: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An account is not known here any more."""

    is_revoked: bool
    """Whether the provider was told too."""
    message: str


class SignInUnknown(Exception):
    """No sign-in of that state waits here; the message says what became of it."""


class SignInDenied(Exception):
    """The person, or the provider for them, said no; the message says it in a sentence."""
