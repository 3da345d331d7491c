"""The accounts of servers of the fleet: who is signed in, signing in, and leaving."""

import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from orchestrator.domain.accounts import Account, BegunSignIn, Revoked, ServerAccounts
from orchestrator.domain.servers import ServerConfig
from orchestrator.errors import (
    Conflict,
    FlotillaError,
    NotFound,
    ServerUnavailable,
    SignInDenied,
    SignInNotConfigured,
    SignInRefused,
    SignInUnknown,
)
from orchestrator.tools.failures import ExchangeFailed, no_answer
from orchestrator.tools.side_requests import Shape, SideAnswer, SideRequests

logger = logging.getLogger(__name__)

READ_TIMEOUT_S = 3.0
_BEGIN_TIMEOUT_S = 10.0
_VENDOR_TIMEOUT_S = 45.0
"""For what the server itself has to ask its provider."""
_MAX_ANSWER_BYTES = 256 * 1024
_NOT_FOUND = 404
_REFUSED_REQUESTS = (400, 409, 422)
_ERRORS: dict[str, type[FlotillaError]] = {
    "not_configured": SignInNotConfigured,
    "sign_in_unknown": SignInUnknown,
    "sign_in_denied": SignInDenied,
    "sign_in_refused": SignInRefused,
    "unavailable": ServerUnavailable,
}


class AccountsClient:
    """Asks the servers, and remembers what each told last; no token or code stays here.

    Methods raise NotFound for what is no server of the fleet and for one without accounts,
    ServerUnavailable and other ToolErrors when it does not answer as it should.
    """

    def __init__(self, requests: SideRequests, configured: Callable[[str], ServerConfig]) -> None:
        self._requests = requests
        self._configured = configured
        self._last: dict[str, ServerAccounts] = {}

    def last(self, server: str) -> ServerAccounts | None:
        """Return what the server told last, without asking it; None when it never did."""
        return self._last.get(server)

    async def read(self, server: str) -> ServerAccounts:
        """Return what the server tells within three seconds."""
        found = await self._ask(server, "GET", "accounts", ServerAccounts, READ_TIMEOUT_S)
        self._last[server] = found
        return found

    async def begin(
        self,
        server: str,
        *,
        capabilities: Sequence[str],
        account: str | None,
        redirect_uri: str,
    ) -> BegunSignIn:
        """Have the server begin a sign-in that comes back to `redirect_uri`.

        Raises SignInNotConfigured when the owner has to set something first.
        """
        body = {
            "capabilities": list(capabilities),
            "account": account,
            "redirect_uri": redirect_uri,
        }
        path = "accounts/sign-ins"
        return await self._ask(server, "POST", path, BegunSignIn, _BEGIN_TIMEOUT_S, body)

    async def complete(self, server: str, answer: dict[str, str]) -> Account:
        """Relay what the provider sent back: `state` with `code`, or with `error`.

        Raises SignInUnknown, SignInDenied, SignInRefused.
        """
        path = "accounts/sign-ins/complete"
        account = await self._ask(server, "POST", path, Account, _VENDOR_TIMEOUT_S, answer)
        self._correct(server, account.account, (account,))
        return account

    async def make_default(self, server: str, account: str) -> Account:
        """Have calls that name no account use this one. Raises NotFound."""
        body = {"is_default": True}
        return await self._ask(server, "PATCH", _path(account), Account, READ_TIMEOUT_S, body)

    async def forget(self, server: str, account: str) -> Revoked:
        """Have the server forget an account and tell the provider. Raises NotFound."""
        revoked = await self._ask(server, "DELETE", _path(account), Revoked, _VENDOR_TIMEOUT_S)
        self._correct(server, account, ())
        return revoked

    def _correct(self, server: str, name: str, now: tuple[Account, ...]) -> None:
        """Put `now` in the place of an account in what the server told last."""
        if (last := self._last.get(server)) is not None:
            others = tuple(one for one in last.accounts if one.account != name)
            self._last[server] = last.model_copy(update={"accounts": (*others, *now)})

    async def _ask(
        self,
        server: str,
        method: str,
        path: str,
        shape: type[Shape],
        timeout_s: float,
        body: Any = None,
    ) -> Shape:
        config = self._configured(server)
        if not config.enabled:
            raise ServerUnavailable(f"The server {config.shown_title!r} is switched off.")
        try:
            answer = await self._requests.ask(
                config, method, path, body=body, timeout_s=timeout_s, max_bytes=_MAX_ANSWER_BYTES
            )
            if not answer.is_success:
                _raise_refusal(config, path, answer)
            return answer.read_as(shape)
        except ExchangeFailed as failure:
            raise no_answer(config, failure) from failure


def _path(account: str) -> str:
    return f"accounts/{quote(account, safe='')}"


def _raise_refusal(config: ServerConfig, path: str, answer: SideAnswer) -> None:
    """Raise what the server says is wrong; a refusal that says nothing is left to the reader."""
    refusal = answer.refusal
    if refusal is not None and refusal.code in _ERRORS:
        logger.info("account_refused server=%s code=%s", config.id, refusal.code)
        raise _ERRORS[refusal.code](refusal.message)
    if answer.status == _NOT_FOUND:
        name = config.shown_title
        if path == "accounts":
            raise NotFound(f"The server {name!r} works with no accounts.")
        raise NotFound(refusal.message if refusal else f"{name!r} has no such account.")
    if answer.status in _REFUSED_REQUESTS and refusal is not None:
        raise Conflict(refusal.message)
