"""The access token of one call of a tool, renewed when Google does not take it."""

import asyncio
from typing import Any, Protocol


class AccessToken(Protocol):
    """A token that works now."""

    @property
    def account(self) -> str: ...
    @property
    def token(self) -> str: ...


class Accounts(Protocol):
    """Who signed in: `mcp.accounts`."""

    async def access(self, account: str | None, capability: str) -> AccessToken:
        """Raises SignInRequired, NotFound, NotAllowed, Unavailable."""
        ...

    # Any: an implementation takes back the tokens it gave, not those of others.
    async def renewed(self, token: Any, capability: str) -> AccessToken:
        """After a 401. Raises SignInRequired, Unavailable."""
        ...


class Bearer:
    """Shared by all requests of a call, so that they renew the token once."""

    def __init__(self, accounts: Accounts, token: AccessToken, capability: str) -> None:
        self._accounts = accounts
        self.token = token
        self.account = token.account
        self.capability = capability
        self._renewing = asyncio.Lock()

    async def renew(self, refused: AccessToken) -> None:
        """Gets another token than the one that Google refused. Raises SignInRequired."""
        async with self._renewing:
            if self.token is refused:
                self.token = await self._accounts.renewed(refused, self.capability)
