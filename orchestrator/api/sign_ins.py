"""Sign-ins of the owner at providers: begun here, bound to who began them, and relayed once.

A server makes the state and keeps what is secret; here is only who waits for which state to come
back. That is in memory: who comes back after a restart begins again.
"""

import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from orchestrator.api.authenticator import Principal
from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.domain.accounts import Account, ServerAccounts
from orchestrator.domain.questions import Question
from orchestrator.domain.web_address import check_web_address
from orchestrator.errors import (
    Conflict,
    InvalidRequest,
    ServerUnavailable,
    SignInNotConfigured,
    SignInUnknown,
    StorageFull,
)
from orchestrator.store import audit
from orchestrator.store.database import Database
from orchestrator.store.principals import hash_secret
from orchestrator.tools.accounts import AccountsClient
from orchestrator.tools.failures import BadReply

logger = logging.getLogger(__name__)

LIFE_S = 600
MAX_PENDING = 200
UNKNOWN = (
    "This sign-in was not begun here, was used already, or is older than ten minutes. "
    "Look under Accounts whether it worked; if not, begin again."
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Wish:
    """What to sign in to."""

    server: str
    capabilities: tuple[str, ...] = ()
    """What the account shall permit; empty for what the server asks for first."""
    account: str | None = None
    """Which account it has to be; None for any."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that waits for the person at the provider."""

    url: str = field(repr=False)
    """Where to send the browser; an https address, or one of this machine."""
    expires_at: str
    key: str
    """Names this sign-in where its state must not be: in the name of a cookie."""
    browser: str = field(repr=False)
    """What the browser shows when it comes back, that no other browser knows."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A sign-in that was completed."""

    account: Account
    wish: Wish
    told: ServerAccounts
    """What the server told when it began."""

    @property
    def is_another(self) -> bool:
        """Whether it is not the account that was asked for."""
        wanted = self.wish.account
        return wanted is not None and wanted.casefold() != self.account.account.casefold()

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of what the account was asked to permit and does not."""
        granted = self.account.capabilities
        return tuple(name for name in self.wish.capabilities if name not in granted)

    @property
    def lost(self) -> tuple[str, ...]:
        """Names of what it permitted until now and does not any more, nor was asked to."""
        name, now = self.account.account, {*self.account.capabilities, *self.missing}
        before = [one.capabilities for one in self.told.accounts if one.account == name]
        return tuple(one for names in before for one in names if one not in now)

    def in_words(self, names: Iterable[str]) -> str:
        """Return capabilities in words for the owner."""
        titles = {one.name: one.title for one in self.told.capabilities}
        return ", ".join(titles.get(name, name) for name in names)


@dataclass(frozen=True, slots=True)
class _Pending:
    principal: Principal
    wish: Wish
    told: ServerAccounts
    browser_hash: str
    ends_at_s: float


class SignIns:
    """Begins sign-ins and relays how they ended; each state is relayed at most once."""

    def __init__(
        self, accounts: AccountsClient, questions: QuestionDesk, database: Database
    ) -> None:
        self._accounts = accounts
        self._questions = questions
        self._database = database
        self._pending: OrderedDict[str, _Pending] = OrderedDict()

    async def wish_of(self, principal: Principal, server: str, question_id: str) -> Wish:
        """Return what answers a question about this server. Raises NotFound, Conflict."""
        question = await self._questions.find(principal.owner_id, question_id)
        if question.server != server:
            raise Conflict("That question is about another server.")
        if question.state != "pending":
            raise Conflict(f"Nobody waits for this sign-in any more: {_ended(question)}.")
        return Wish(server, (question.capability,), question.account)

    async def begin(self, principal: Principal, wish: Wish, *, redirect_uri: str) -> Begun:
        """Have the server begin a sign-in that comes back to `redirect_uri`.

        Raises SignInNotConfigured, InvalidRequest for a capability there is none of, and as
        AccountsClient does.
        """
        told = await self._accounts.read(wish.server)
        if told.setup is not None:
            raise SignInNotConfigured(told.setup)
        wish = Wish(wish.server, _capabilities(wish, told), wish.account)
        begun = await self._accounts.begin(
            wish.server,
            capabilities=wish.capabilities,
            account=wish.account,
            redirect_uri=redirect_uri,
        )
        _check_is_for_a_browser(begun.url)
        browser = secrets.token_urlsafe(32)
        key = hash_secret(begun.state)
        self._pending[key] = _Pending(
            principal, wish, told, hash_secret(browser), time.monotonic() + LIFE_S
        )
        self._forget_old()
        logger.info("sign_in_began server=%s", wish.server)
        return Begun(begun.url, begun.expires_at, key_of(begun.state), browser)

    async def returned(
        self, server: str, answer: Mapping[str, str], browser: str | None
    ) -> Completed:
        """Relay what a browser came back with; it has to be the one that began.

        When the server is away, the same may be tried again.

        Raises SignInUnknown, SignInDenied, SignInRefused, and as AccountsClient does.
        """
        pending = self._waiting(server, answer)
        shown = hash_secret(browser or "")
        if not hmac.compare_digest(shown, pending.browser_hash):
            raise SignInUnknown(UNKNOWN)
        return await self._relay(server, answer)

    async def pasted(
        self, principal: Principal, server: str, answer: Mapping[str, str]
    ) -> Completed:
        """Relay what the owner copied from a browser elsewhere. Raises as `returned`."""
        pending = self._waiting(server, answer)
        if pending.principal.owner_id != principal.owner_id:
            raise SignInUnknown(UNKNOWN)
        return await self._relay(server, answer)

    def _waiting(self, server: str, answer: Mapping[str, str]) -> _Pending:
        self._forget_old()
        pending = self._pending.get(hash_secret(answer["state"]))
        if pending is None or pending.wish.server != server:
            raise SignInUnknown(UNKNOWN)
        if pending.principal.revocation.is_ended:
            raise SignInUnknown("Who began this sign-in was signed out meanwhile. Begin again.")
        return pending

    async def _relay(self, server: str, answer: Mapping[str, str]) -> Completed:
        key = hash_secret(answer["state"])
        pending = self._pending.pop(key)
        principal = pending.principal
        try:
            account = await self._accounts.complete(server, dict(answer))
        except ServerUnavailable:
            self._pending[key] = pending
            self._pending.move_to_end(key, last=False)
            raise
        logger.info("sign_in_completed server=%s", server)
        noted = partial(
            audit.append,
            actor=principal.actor,
            action="account_signed_in",
            subject=server,
            details={"account": account.account, "capabilities": list(account.capabilities)},
        )
        try:
            await self._database.write(noted, principal.owner_id)
        except StorageFull as error:
            raise StorageFull(
                f"{account.account} is signed in, but that could not be noted: {error}"
            ) from error
        await self._questions.seen(principal.owner_id, server, [account])
        return Completed(account, pending.wish, pending.told)

    def _forget_old(self) -> None:
        now_s = time.monotonic()
        while self._pending:
            oldest = next(iter(self._pending))
            if len(self._pending) <= MAX_PENDING and self._pending[oldest].ends_at_s > now_s:
                return
            del self._pending[oldest]


def key_of(state: str) -> str:
    """Return the name of a sign-in that does not tell its state."""
    return hash_secret(state)[:16]


def _capabilities(wish: Wish, told: ServerAccounts) -> tuple[str, ...]:
    known = [capability.name for capability in told.capabilities]
    for name in wish.capabilities:
        if name not in known:
            raise InvalidRequest(f"There is no capability {name!r}; there are: {', '.join(known)}.")
    return tuple(dict.fromkeys(wish.capabilities)) or tuple(known[:1])


def _check_is_for_a_browser(url: str) -> None:
    """Raise BadReply unless the browser may be sent there: https, or this very machine."""
    try:
        parts = check_web_address(url)
    except ValueError:
        raise BadReply("The server gave no usable address for the sign-in.") from None
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise BadReply("The server gave an address for the sign-in that is not https.")


def _ended(question: Question) -> str:
    return "it was answered" if question.state == "done" else f"it is {question.state}"
