"""Renews tokens: once, however many calls, tasks and processes want it at the same time."""

import asyncio
import logging
import time

from servers.kit.accounts.lock import locked
from servers.kit.accounts.provider import NotConfigured, Provider, SignInEnded, Tokens
from servers.kit.accounts.store import AccountStore, Held
from servers.kit.accounts.tables import Row
from servers.kit.errors import NotAllowed, NotFound, Unavailable

logger = logging.getLogger(__name__)

MARGIN_S = 60
"""An access token with less left is renewed before it is used."""
REFRESH_LIMIT_S = 40
LOCK_PATIENCE_S = 60
DRAIN_S = 0.3


class Renewal:
    """Fresh tokens for the accounts of one running server."""

    def __init__(self, store: AccountStore, provider: Provider) -> None:
        self._store = store
        self._provider = provider
        self._running: dict[str, asyncio.Task[Held]] = {}
        self._unsaved: dict[str, tuple[Row, Tokens]] = {}

    async def fresh(self, held: Held, *, refused: str | None = None) -> Held:
        """The account with an access token that has time left and is not the refused one.

        Raises SignInEnded, Unavailable, NotAllowed when something has to be set first, and NotFound
        when the account was forgotten meanwhile. What it stores is stored before it returns.
        """
        if _is_fresh(held, refused):
            return held
        account = held.row.account
        task = self._running.get(account)
        if task is None:
            task = asyncio.create_task(self._renewed(account, refused))
            task.add_done_callback(_look_at)
            self._running[account] = task
        # The others wait for it too, and what the provider gave must be stored.
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Lets what runs end, for a while: tokens that came and are not stored are lost."""
        if tasks := list(self._running.values()):
            _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
            for task in late:
                task.cancel()

    async def _renewed(self, account: str, refused: str | None) -> Held:
        try:
            async with locked(self._store.lock_path(account), LOCK_PATIENCE_S):
                return await self._renewed_alone(account, refused)
        except TimeoutError as error:
            raise Unavailable(
                f"Another process has been renewing the sign-in of {account} for a minute: try"
                " again."
            ) from error
        except OSError as error:
            raise Unavailable(f"The sign-in cannot be renewed: {error}.") from error
        finally:
            del self._running[account]

    async def _renewed_alone(self, account: str, refused: str | None) -> Held:
        if account in self._unsaved:
            await self._store_tokens(*self._unsaved[account])
        # Perhaps somebody was faster while we waited for the lock.
        row = await self._store.row(account)
        if row is None:
            raise NotFound(f"The account {account} was signed out meanwhile.")
        if row.ended_because is not None:
            raise SignInEnded(row.ended_because)
        held = self._store.opened(row)
        if _is_fresh(held, refused):
            return held
        tokens = await self._asked(held)
        # Even what cannot be used for long: the refresh token may be another by now.
        await self._store_tokens(row, tokens)
        if tokens.expires_at - time.time() < MARGIN_S:
            raise Unavailable(f"{self._provider.title} gave a token that ends at once.")
        return await self._renewed_alone(account, None)

    async def _asked(self, held: Held) -> Tokens:
        if held.tokens.refresh_token is None:
            raise SignInEnded(f"{self._provider.title} permitted it for a short time only.")
        try:
            async with asyncio.timeout(REFRESH_LIMIT_S):
                tokens = await self._provider.refresh(held.tokens)
        except SignInEnded as error:
            logger.warning("sign_in_ended provider=%s", self._provider.name)
            await self._store.end(held.row, str(error))
            raise
        except NotConfigured as error:
            raise NotAllowed(str(error)) from error
        except TimeoutError as error:
            raise Unavailable(f"{self._provider.title} does not answer.") from error
        return tokens

    async def _store_tokens(self, row: Row, tokens: Tokens) -> None:
        # A full disk must not cost the only copy of a refresh token that replaced the stored one.
        self._unsaved[row.account] = (row, tokens)
        await self._store.renew(row, tokens)
        del self._unsaved[row.account]


def _is_fresh(held: Held, refused: str | None) -> bool:
    return (
        held.row.expires_at - time.time() >= MARGIN_S
        and held.row.ended_because is None
        and held.tokens.access_token != refused
    )


def _look_at(task: "asyncio.Task[Held]") -> None:
    """Everybody who waited may have gone: then nobody else looks how it ended."""
    if not task.cancelled():
        task.exception()
