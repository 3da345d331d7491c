"""Accounts that servers of the fleet work with, as those servers tell of them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _checked_moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("is a time without a zone")
    return text


AccountState = Literal["ok", "needs_sign_in"]
AccountName = Annotated[str, Field(min_length=1, max_length=254, pattern=r"^[^\x00-\x20\x7f]+$")]
CapabilityName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,31}$")]
CapabilityNames = Annotated[tuple[CapabilityName, ...], Field(max_length=32)]
_Scope = Annotated[str, Field(max_length=300)]
_Moment = Annotated[str, Field(max_length=40), AfterValidator(_checked_moment)]
_Sentence = Annotated[str, Field(max_length=2_000)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Account(_Told):
    """One account that somebody signed in to."""

    account: AccountName
    """The provider's name for it: an e-mail address."""
    state: AccountState
    is_default: bool
    """Whether calls that name no account use it."""
    capabilities: CapabilityNames
    """What it permits."""
    scopes: Annotated[tuple[_Scope, ...], Field(max_length=64)]
    """The same in the provider's words."""
    signed_in_at: _Moment
    last_refresh_at: _Moment | None
    works_until: _Moment | None
    """When the provider will want a new sign-in; null when no end is known."""
    problem: _Sentence | None
    """Why it needs a new sign-in."""


class Capability(_Told):
    """Something an account can permit a server to do."""

    name: CapabilityName
    title: Annotated[str, Field(max_length=200)]
    """What the owner reads: "read your mail"."""
    scopes: Annotated[tuple[_Scope, ...], Field(max_length=64)]


class ServerAccounts(_Told):
    """What a server tells of its accounts."""

    provider: Annotated[str, Field(max_length=64)]
    provider_title: Annotated[str, Field(max_length=80)]
    setup: _Sentence | None
    """What the owner has to set before anybody can sign in; null when nothing is missing."""
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=32)]
    accounts: Annotated[tuple[Account, ...], Field(max_length=64)]

    @property
    def state(self) -> Literal["ok", "needs_sign_in", "not_configured"]:
        """How they stand: `ok` when there is one and none needs a sign-in."""
        if self.setup is not None:
            return "not_configured"
        is_well = self.accounts and all(account.state == "ok" for account in self.accounts)
        return "ok" if is_well else "needs_sign_in"


class BegunSignIn(_Told):
    """A sign-in that waits for the person at the provider."""

    url: Annotated[str, Field(max_length=8_192, repr=False)]
    """Where the person goes; it holds the state."""
    state: Annotated[str, Field(min_length=16, max_length=512, repr=False)]
    """What the provider sends back, good once."""
    expires_at: _Moment


class Revoked(_Told):
    """What became of an account that was forgotten."""

    revoked: bool
    """Whether the provider was told, too."""
    message: _Sentence
