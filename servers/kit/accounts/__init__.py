"""The accounts of a server: who signed in, with which rights, and tokens that work."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, TypeVar

from pydantic import Field

from servers.kit.accounts.models import (
    AccessToken,
    Account,
    Forgotten,
    SignInBegun,
    SignInDenied,
)
from servers.kit.accounts.provider import NotConfigured, Provider, SignInEnded, SignInRefused
from servers.kit.accounts.renewal import DRAIN_S, Renewal
from servers.kit.accounts.sign_ins import SignIns
from servers.kit.accounts.standing import Standing, named
from servers.kit.accounts.store import AccountStore, Held, accounts_file
from servers.kit.accounts.tables import Row
from servers.kit.accounts.vault import SecretUnreadable, Vault
from servers.kit.database import DatabaseUnavailable
from servers.kit.errors import (
    NotFound,
    SignInRequired,
    Unavailable,
    UpstreamError,
)
from servers.kit.gate.current import approved_account
from servers.kit.manifest import SignIn
from servers.kit.settings import KitSettings, SystemdSettings

logger = logging.getLogger(__name__)

POLL_S = 0.3
REVOKE_LIMIT_S = 15

AccountArgument = Annotated[
    str | None, Field(max_length=254, description="Account; without: the default.")
]
Waited: TypeAlias = Literal["ready", "in_vain", "late"]
R = TypeVar("R")


class Accounts:
    """The accounts of one server, kept in its own file; several processes may use it at once.

    Use it within `opened`. Where the file cannot be used, everything raises Unavailable.
    """

    def __init__(self, server: str, sign_in: SignIn, provider: Callable[[], Provider]) -> None:
        self._server = server
        self.sign_in = sign_in
        self._make_provider = provider
        self._settings: tuple[KitSettings, SystemdSettings] | None = None
        self._store: AccountStore | None = None
        self._why_closed = "This server is not running."
        self._standing: Standing
        self._renewal: Renewal
        self._sign_ins: SignIns
        self._refused_at_s = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    def use_settings(self, settings: KitSettings, systemd: SystemdSettings) -> None:
        """Says where the file and its key are, before `opened`."""
        self._settings = (settings, systemd)

    @cached_property
    def provider(self) -> Provider:
        """Loaded when it is first needed."""
        return self._make_provider()

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """The file is open meanwhile. When it cannot be opened, calls say why."""
        settings, systemd = self._settings or (KitSettings(), SystemdSettings())
        vault = Vault(self._server, settings, systemd)
        store = AccountStore(settings.data_dir / accounts_file(self._server), vault)
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(store.database)
            except DatabaseUnavailable as error:
                logger.error("accounts_closed server=%s: %s", self._server, error)  # noqa: TRY400, the sentence says it
                self._why_closed = str(error)
            else:
                self._store = store
                self._standing = Standing(self.sign_in, self.provider, store)
                self._renewal = Renewal(store, self.provider)
                self._sign_ins = SignIns(store, self.provider)
                stack.push_async_callback(self._closed)
            yield

    def setup(self) -> str | None:
        """What the owner has to set before anybody can sign in, in a sentence; None: nothing."""
        try:
            self.provider.check_configured()
        except NotConfigured as error:
            return str(error)
        return None

    async def check(self, account: str | None, capability: str) -> str:
        """The account that `access` would be for, without asking the provider anything.

        Raises as `access` does, except for what only the provider knows.
        """
        return (await self._held(account, capability)).row.account

    async def access(self, account: str | None, capability: str) -> AccessToken:
        """A token that works for at least a minute; without `account`, for the default one.

        Raises SignInRequired, NotFound for an account nobody signed in to, NotAllowed when the
        owner has to set something first, and Unavailable.
        """
        return await self._fresh(await self._held(account, capability), capability)

    async def renewed(self, token: AccessToken, capability: str) -> AccessToken:
        """Another token, for one that the provider refused before its end. Raises as `access`."""
        held = await self._held(token.account, capability)
        return await self._fresh(held, capability, refused=token.token)

    async def note_ended(self, token: AccessToken, why: str) -> None:
        """Notes that the provider refused a token that it had only just given.

        From now on the account needs a sign-in, unless it has another token by now.
        """
        store = self._opened()
        row = await store.row(token.account)
        try:
            if row is not None and store.opened(row).tokens.access_token == token.token:
                await store.end(row, why)
        except SecretUnreadable:
            return  # It needs a sign-in anyway.

    async def wait_until_ready(
        self, account: str | None, capability: str, timeout_s: float, *, since_s: float
    ) -> Waited:
        """Waits until `check` passes, also by what another process does.

        `in_vain` when a person came back from the provider after `since_s`, in seconds since the
        epoch, and it does not pass all the same: they said no, permitted too little, or chose
        another account.
        """
        try:
            async with asyncio.timeout(timeout_s):
                # Another process may be the one that notes it.
                while (found := await self._found(account, capability, since_s)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            return "late"
        return found

    async def listed(self) -> list[Account]:
        """The default account first. Raises Unavailable."""
        return [self._standing.described(row) for row in await self._opened().rows()]

    async def begin(
        self, capabilities: Collection[str], *, redirect_uri: str, account: str | None = None
    ) -> SignInBegun:
        """Begins a sign-in that permits these as well; none stands for the first there is.

        `account` is the one the person shall choose. Raises NotConfigured, InvalidInput for a
        capability there is not, VaultUnusable and Unavailable.
        """
        store = self._opened()
        scopes: set[str] = set()
        for name in capabilities or [next(iter(self.sign_in.capabilities))]:
            scopes.update(self._standing.capability(name).scopes)
        account = _normal(account)
        if account is not None and (row := await store.row(account)) is not None:
            scopes |= row.scopes
        return await self._sign_ins.begin(scopes, redirect_uri=redirect_uri, account=account)

    async def complete(self, *, state: str, code: str) -> Account:
        """Ends a sign-in with the code that came back.

        Raises SignInUnknown, SignInRefused, VaultUnusable, and Unavailable, after which it may be
        tried again. Runs to its end even when the caller is cancelled.
        """
        store = self._opened()
        try:
            account = await self._kept(self._sign_ins.complete(state, code))
        except SignInRefused:
            self._refused_at_s = time.time()
            raise
        if (row := await store.row(account)) is None:
            raise NotFound(f"{account} was signed out again meanwhile.")
        return self._standing.described(row)

    async def deny(self, *, state: str, error: str, description: str | None = None) -> NoReturn:
        """Ends a sign-in that came back with an error. Raises SignInUnknown, else SignInDenied."""
        self._opened()
        try:
            await self._sign_ins.deny(state, error, description)
        except SignInDenied:
            self._refused_at_s = time.time()
            raise

    async def make_default(self, account: str) -> Account:
        """Uses this account where none is named. Raises NotFound and Unavailable."""
        row = await self._row(account)
        await self._opened().make_default(row.account)
        return self._standing.described(await self._row(account))

    async def forget(self, account: str) -> Forgotten:
        """Ends the tokens at the provider and deletes them here, the latter in any case.

        Raises NotFound and Unavailable. Runs to its end even when the caller is cancelled.
        """
        return await self._kept(self._forgotten(await self._row(account)))

    async def _forgotten(self, row: Row) -> Forgotten:
        store = self._opened()
        title = self.provider.title
        try:
            async with asyncio.timeout(REVOKE_LIMIT_S):
                await self.provider.revoke(store.opened(row).tokens)
        except (SecretUnreadable, UpstreamError, NotConfigured, TimeoutError) as error:
            why = str(error) or f"{title} does not answer"
            logger.warning("not_revoked server=%s error=%s", self._server, type(error).__name__)
            forgotten = Forgotten(
                False,
                f"{row.account} is forgotten here, but {title} could not be told ({why}). End its"
                f" permission in the settings of the account at {title}.",
            )
        else:
            forgotten = Forgotten(
                True,
                f"{row.account} is signed out, and {title} has ended the permission. Other servers"
                " that use it with the same client id have to sign in again.",
            )
        await store.forget(row.account)
        return forgotten

    async def _fresh(self, held: Held, capability: str, refused: str | None = None) -> AccessToken:
        try:
            held = await self._renewal.fresh(held, refused=refused)
        except SignInEnded as error:
            raise self._standing.ended(held.row, capability, str(error)) from error
        except SecretUnreadable as error:
            raise self._standing.unreadable(held.row, capability, error) from error
        self._standing.check_permits(held.row, capability)
        return AccessToken(held.row.account, held.tokens.access_token)

    async def _held(self, account: str | None, capability: str) -> Held:
        rows = await self._opened().rows()
        # What was approved for one account does not run for another that became the default.
        return self._standing.held(rows, _normal(account) or approved_account(), capability)

    def _opened(self) -> AccountStore:
        if self._store is None:
            raise Unavailable(self._why_closed)
        return self._store

    async def _row(self, account: str) -> Row:
        return named(await self._opened().rows(), account.strip().lower())

    async def _found(
        self, account: str | None, capability: str, since_s: float
    ) -> Literal["ready", "in_vain"] | None:
        # Read first: who signs in after that is not blamed for what was checked before.
        rows = await self._opened().rows()
        try:
            await self.check(account, capability)
        except (SignInRequired, NotFound):
            came_back_at_s = [self._refused_at_s, *(row.signed_in_at for row in rows)]
            return "in_vain" if max(came_back_at_s) > since_s else None
        return "ready"

    async def _kept(self, work: Coroutine[Any, Any, R]) -> R:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _closed(self) -> None:
        self._store = None
        self._why_closed = "This server is stopping."
        await self._renewal.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)


def _normal(account: str | None) -> str | None:
    """The account as it is kept; an empty one is none."""
    return (account or "").strip().lower() or None
