"""Sign-ins from their begin to their end, each of them once."""

import asyncio
import logging
import secrets
import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final, NoReturn

from servers.kit.accounts.models import SignInBegun, SignInDenied, SignInUnknown
from servers.kit.accounts.provider import NotConfigured, Provider, SignedIn, SignInRefused
from servers.kit.accounts.store import AccountStore, PendingSignIn
from servers.kit.accounts.vault import SecretUnreadable
from servers.kit.errors import Unavailable
from servers.kit.gate.wording import one_line

logger = logging.getLogger(__name__)

LIFE_S = 600
"""How long a person has at the provider."""
STATE_BYTES = 32
EXCHANGE_LIMIT_S = 40

_WHAT_BECAME_OF_IT: Final = {
    None: "This sign-in is not known here, or was begun more than 10 minutes ago. Begin again.",
    "done": "This sign-in is complete already.",
    "refused": "This sign-in has ended without success. Begin again.",
    "exchanging": (
        "This sign-in came back before, and how that ended is not known: it goes on elsewhere, or"
        " the server stopped in the middle. If the account is not listed, nothing was kept of it:"
        " begin again."
    ),
}


class SignIns:
    """The sign-ins of one running server."""

    def __init__(self, store: AccountStore, provider: Provider) -> None:
        self._store = store
        self._provider = provider

    async def begin(
        self, scopes: Collection[str], *, redirect_uri: str, account: str | None
    ) -> SignInBegun:
        """Raises NotConfigured, VaultUnusable and Unavailable."""
        state = secrets.token_urlsafe(STATE_BYTES)
        expires_at = time.time() + LIFE_S
        begun = await self._provider.begin(
            scopes=scopes, redirect_uri=redirect_uri, state=state, account=account
        )
        pending = PendingSignIn(
            redirect_uri=redirect_uri, scopes=frozenset(scopes), secret=dict(begun.secret)
        )
        await self._store.add_sign_in(state, pending, expires_at)
        return SignInBegun(begun.url, state, datetime.fromtimestamp(expires_at, UTC))

    async def complete(self, state: str, code: str) -> str:
        """The account that is signed in to now; its tokens are stored.

        Raises SignInUnknown, SignInRefused, VaultUnusable, and NotConfigured and Unavailable, after
        which it may be tried again with the same state and code.
        """
        pending = await self._taken(state)
        try:
            signed_in = await self._exchanged(pending, code)
        except SignInRefused:
            await self._store.set_phase(state, "refused")
            raise
        except (NotConfigured, Unavailable):
            await self._store.set_phase(state, "waiting")
            raise
        await self._store.put_signed_in(state, signed_in)
        logger.info("signed_in provider=%s", self._provider.name)
        return signed_in.account

    async def deny(self, state: str, error: str, description: str | None) -> NoReturn:
        """Ends a sign-in that came back with an error. Raises SignInUnknown, else SignInDenied."""
        await self._taken(state)
        await self._store.set_phase(state, "refused")
        title = self._provider.title
        if error == "access_denied":
            raise SignInDenied(f"It was not permitted at {title}, so nothing was kept.")
        said = one_line(f"{error}: {description}" if description else error)
        raise SignInDenied(f"{title} ended the sign-in, so nothing was kept. It says: {said}")

    async def _taken(self, state: str) -> PendingSignIn:
        try:
            taken = await self._store.take_sign_in(state)
        except SecretUnreadable as error:
            await self._store.set_phase(state, "refused")
            raise SignInUnknown(
                "The key that accounts are encrypted with was changed during this sign-in. Begin"
                " again."
            ) from error
        if not isinstance(taken, PendingSignIn):
            raise SignInUnknown(_WHAT_BECAME_OF_IT[taken])
        return taken

    async def _exchanged(self, pending: PendingSignIn, code: str) -> SignedIn:
        try:
            async with asyncio.timeout(EXCHANGE_LIMIT_S):
                return await self._provider.complete(
                    code=code,
                    redirect_uri=pending.redirect_uri,
                    scopes=pending.scopes,
                    secret=pending.secret,
                )
        except TimeoutError as error:
            raise Unavailable(f"{self._provider.title} does not answer.") from error
