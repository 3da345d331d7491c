"""What a provider of accounts can do: begin a sign-in, end it, renew it, give it up."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in at a provider that waits for the person."""

    url: str
    """Where the person goes."""
    secret: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """What `complete` needs later and nobody else may see: the PKCE verifier."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider gave for one account."""

    access_token: str = field(repr=False)
    expires_at: float
    """When the access token ends, in seconds since the epoch."""
    refresh_token: str | None = field(repr=False)
    scopes: frozenset[str]
    """What was really granted: a person can untick boxes."""
    works_until: float | None = None
    """When the refresh token ends, where the provider says so; None for no known end."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The end of a sign-in."""

    account: str
    """The provider's name for it, in lower case: an e-mail address."""
    tokens: Tokens


class SignInRefused(Exception):
    """The provider did not complete a sign-in; the message says why and what to do."""


class SignInEnded(Exception):
    """A refresh token does not work any more and never will; the message says why."""


class NotConfigured(Exception):
    """The owner has to set something before anybody can sign in; the message says what."""


class Provider(Protocol):
    """Speaks to one provider. What does not answer raises `Unavailable`."""

    name: str
    title: str

    def check_configured(self) -> None:
        """Raises NotConfigured."""
        ...

    async def begin(
        self, *, scopes: Collection[str], redirect_uri: str, state: str, account: str | None
    ) -> Begun:
        """Asks for these scopes; `account` is the one the person shall choose.

        Raises NotConfigured.
        """
        ...

    async def complete(
        self, *, code: str, redirect_uri: str, scopes: Collection[str], secret: Mapping[str, str]
    ) -> SignedIn:
        """Exchanges the code that came back. Raises SignInRefused."""
        ...

    async def refresh(self, tokens: Tokens) -> Tokens:
        """New tokens; keeps the refresh token when the provider gave no other.

        Raises SignInEnded.
        """
        ...

    async def revoke(self, tokens: Tokens) -> None:
        """Ends them at the provider; tokens that had ended already are no error."""
        ...
