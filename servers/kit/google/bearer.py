"""The access token of one call of a tool, renewed when Google does not take it."""

import asyncio

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import AccessToken


class Bearer:
    """Shared by all requests of a call, so that they renew the token once."""

    def __init__(self, accounts: Accounts, token: AccessToken, capability: str) -> None:
        self._accounts = accounts
        self.token = token
        self.account = token.account
        self.capability = capability
        self._renewing = asyncio.Lock()

    async def renew(self, refused: AccessToken) -> None:
        """Gets another token than the one that Google refused. Raises as `Accounts.access`."""
        async with self._renewing:
            if self.token is refused:
                self.token = await self._accounts.renewed(refused, self.capability)

    async def give_up(self, refused: AccessToken) -> None:
        """Notes that Google refused a renewed token: the account must not be told to work."""
        why = "Google does not accept the sign-in any more."
        await self._accounts.note_ended(refused, why)
