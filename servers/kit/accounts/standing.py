"""Whether an account may be used for what a call needs, and what to say of it."""

import time
from datetime import UTC, datetime
from typing import overload

from servers.kit.accounts.models import Account
from servers.kit.accounts.provider import NotConfigured, Provider
from servers.kit.accounts.store import AccountStore, Held
from servers.kit.accounts.tables import Row
from servers.kit.accounts.vault import SecretUnreadable, VaultUnusable
from servers.kit.errors import InvalidInput, NotAllowed, NotFound, SignInRequired
from servers.kit.gate.wording import one_line
from servers.kit.manifest import Capability, SignIn


class Standing:
    """What the accounts of one server permit."""

    def __init__(self, sign_in: SignIn, provider: Provider, store: AccountStore) -> None:
        self._sign_in = sign_in
        self._provider = provider
        self._store = store

    def held(self, rows: list[Row], account: str | None, capability: str) -> Held:
        """The account to use, of all there are. Raises as `Accounts.access`."""
        row = self._chosen(rows, account, capability)
        if (why := self._why_ended(row)) is not None:
            raise self.ended(row, capability, why)
        self.check_permits(row, capability)
        try:
            return self._store.opened(row)
        except SecretUnreadable as error:
            raise self.unreadable(row, capability, error) from error

    def _chosen(self, rows: list[Row], account: str | None, capability: str) -> Row:
        if not rows:
            try:
                self._provider.check_configured()
            except NotConfigured as error:
                raise NotAllowed(str(error)) from error
            raise SignInRequired(
                f"Nobody has signed in to {self._provider.title} yet. This takes a sign-in that"
                f" lets the server {self.capability(capability).title}.",
                reason="no_account",
                capability=capability,
                # "me", "work": nobody could sign in as that. The same call is told who there is.
                account=account if account is not None and "@" in account else None,
            )
        return rows[0] if account is None else named(rows, account)

    def check_permits(self, row: Row, capability: str) -> None:
        """Raises SignInRequired."""
        wanted = self.capability(capability)
        if not row.scopes.issuperset(wanted.scopes):
            raise SignInRequired(
                f"{row.account} does not let the server {wanted.title} yet. This takes another"
                f" sign-in at {self._provider.title}.",
                reason="scope",
                capability=capability,
                account=row.account,
            )

    def ended(self, row: Row, capability: str, why: str) -> SignInRequired:
        """What to raise when the provider takes the tokens no more."""
        return SignInRequired(
            f"{row.account} has to sign in again. {why}",
            reason="ended",
            capability=capability,
            account=row.account,
        )

    def _why_ended(self, row: Row) -> str | None:
        if row.ended_because is not None:
            return row.ended_because
        if row.works_until is not None and row.works_until <= time.time():
            until = datetime.fromtimestamp(row.works_until, UTC)
            return f"{self._provider.title} let the sign-in work until {until:%Y-%m-%d %H:%M} UTC."
        return None

    def unreadable(self, row: Row, capability: str, error: SecretUnreadable) -> SignInRequired:
        """What to raise when what is kept of the account cannot be decrypted."""
        return self.ended(row, capability, _unreadable(error))

    def described(self, row: Row) -> Account:
        """What the owner may know of it."""
        problem = self._why_ended(row)
        if problem is None:
            try:
                self._store.opened(row)
            except SecretUnreadable as error:
                problem = _unreadable(error)
            except VaultUnusable as error:
                problem = str(error)
        return Account(
            account=row.account,
            state="ok" if problem is None else "needs_sign_in",
            is_default=row.is_default,
            capabilities=[
                name
                for name, capability in self._sign_in.capabilities.items()
                if row.scopes.issuperset(capability.scopes)
            ],
            scopes=sorted(row.scopes),
            signed_in_at=_utc(row.signed_in_at),
            last_refresh_at=_utc(row.last_refresh_at),
            works_until=_utc(row.works_until),
            problem=problem,
        )

    def capability(self, name: str) -> Capability:
        """Raises InvalidInput when there is none of that name."""
        if (capability := self._sign_in.capabilities.get(name)) is None:
            there_are = ", ".join(self._sign_in.capabilities)
            raise InvalidInput(f"There is no capability {name!r} (there are: {there_are}).")
        return capability


def named(rows: list[Row], account: str) -> Row:
    """The account of that name. Raises NotFound."""
    for row in rows:
        if row.account == account:
            return row
    there_are = ", ".join(row.account for row in rows) or "none"
    raise NotFound(f"Nobody signed in to {one_line(account)} here (there are: {there_are}).")


def _unreadable(error: SecretUnreadable) -> str:
    return f"What is kept of it cannot be read: {error}. Put the right key back, or sign in again."


@overload
def _utc(time_s: float) -> datetime: ...
@overload
def _utc(time_s: float | None) -> datetime | None: ...
def _utc(time_s: float | None) -> datetime | None:
    return None if time_s is None else datetime.fromtimestamp(time_s, UTC)
