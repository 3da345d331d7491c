"""Who is asking: the one place that turns a cookie or a bearer token into a principal.

A verified credential stays in memory, so that a request costs no query; revoking one takes it out
and ends its live requests and streams.
"""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Never
from weakref import WeakValueDictionary

from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.errors import NotFound, NotSignedIn, StorageFull, TooManyRequests
from orchestrator.store import principals
from orchestrator.store.database import Database
from orchestrator.store.local_tokens import TERMINAL
from orchestrator.store.principals import ApiToken, Credential, CredentialKind, Scope, hash_secret

logger = logging.getLogger(__name__)

LOGIN_IDLE_LIFE = timedelta(days=30)
LINK_LIFE = timedelta(minutes=15)
LAST_USED_STEP_S = 60
CACHE_SIZE = 1_000
SIGN_INS_PER_MINUTE = 10


class Revocation:
    """The live requests of one credential; `end` cancels all but the one that asked for it."""

    def __init__(self) -> None:
        self.is_ended = False
        self.requests: set[asyncio.Task[object]] = set()

    def end(self) -> None:
        """Cancel the requests; each sees that `is_ended` is set."""
        self.is_ended = True
        asking = asyncio.current_task()
        for request in self.requests:
            if request is not asking:
                request.cancel()


@dataclass(frozen=True, slots=True)
class Principal:
    """An owner, as one credential of theirs speaks for them."""

    owner_id: str
    owner_name: str
    kind: CredentialKind
    credential_id: str
    credential_name: str
    """What a token is for; empty for a login."""
    scope: Scope
    revocation: Revocation = field(repr=False, compare=False)

    @property
    def actor(self) -> str:
        """How audit rows name it."""
        return f"{self.kind}:{self.credential_id}"

    @property
    def means(self) -> Literal["web", "api", "terminal"]:
        """How the owner comes, as decisions name it."""
        if self.kind == "login":
            return "web"
        return "terminal" if self.credential_name == TERMINAL else "api"


@dataclass(slots=True)
class _Verified:
    principal: Principal
    used_at: float
    written_at: float


class Authenticator:
    """Verifies, makes and revokes credentials. Run `keep_last_used` beside it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._verified: OrderedDict[tuple[CredentialKind, str], _Verified] = OrderedDict()
        self._revocations: WeakValueDictionary[str, Revocation] = WeakValueDictionary()
        self._generation = 0
        self._used: dict[tuple[CredentialKind, str], float] = {}
        self._has_used = asyncio.Event()
        self._sign_ins: deque[float] = deque(maxlen=SIGN_INS_PER_MINUTE)

    async def verify(self, kind: CredentialKind, secret: str) -> Principal:
        """Return whose credential this is. Raises NotSignedIn."""
        key = (kind, hash_secret(secret))
        now = time.time()
        entry = self._verified.get(key)
        if entry is None or now - entry.used_at > LOGIN_IDLE_LIFE.total_seconds():
            entry = await self._look_up(key, now)
        entry.used_at = now
        if now - entry.written_at >= LAST_USED_STEP_S:
            entry.written_at = now
            self._used[kind, entry.principal.credential_id] = now
            self._has_used.set()
        return entry.principal

    async def sign_in(self, code: str, user_agent: str) -> str:
        """Use a one-time code up and return the secret for the new cookie.

        Raises NotSignedIn, and TooManyRequests after ten attempts within a minute.
        """
        self._count_sign_in()
        cookie = secrets.token_urlsafe(32)
        credential = await self._database.write(
            principals.redeem_sign_in_link,
            code_hash=hash_secret(code),
            cookie_hash=hash_secret(cookie),
            user_agent=user_agent,
            idle_since=_idle_since(),
        )
        if credential is None:
            raise NotSignedIn(
                "This sign-in link is wrong, used or older than 15 minutes. "
                "Make a new one with `flotilla sign-in`."
            )
        return cookie

    async def new_link(self, asking: Principal) -> tuple[str, str]:
        """Return a one-time sign-in code and when it expires."""
        code = secrets.token_urlsafe(32)
        expires_at = to_rfc3339(utc_now() + LINK_LIFE)
        await self._database.write(
            principals.add_sign_in_link,
            asking.owner_id,
            code_hash=hash_secret(code),
            expires_at=expires_at,
            actor=asking.actor,
        )
        return code, expires_at

    async def new_token(
        self, asking: Principal, *, name: str, scope: Scope
    ) -> tuple[ApiToken, str]:
        """Return a new API token and its text, which nobody can see again."""
        text = principals.new_token()
        token = await self._database.write(
            principals.add_token,
            asking.owner_id,
            name=name,
            scope=scope,
            token_hash=hash_secret(text),
            actor=asking.actor,
        )
        return token, text

    async def sign_out(self, asking: Principal, login_id: str) -> None:
        """End a login and its live streams. Raises NotFound."""
        if not await self._database.write(
            principals.remove_login, asking.owner_id, login_id, actor=asking.actor
        ):
            raise NotFound(f"There is no login {login_id!r}.")
        self._end(login_id)

    async def revoke_token(self, asking: Principal, token_id: str) -> None:
        """End an API token and its live streams. Raises NotFound."""
        if not await self._database.write(
            principals.revoke_token, asking.owner_id, token_id, actor=asking.actor
        ):
            raise NotFound(f"There is no token {token_id!r} in force.")
        self._end(token_id)

    async def end_revoked(self) -> None:
        """End the tokens that were revoked without us, because their servers left the fleet."""
        self._generation += 1
        known = tuple(self._revocations)
        for token_id in await self._database.read(principals.revoked_among, known):
            self._end(token_id)

    async def keep_last_used(self) -> Never:
        """Write `last_used_at` for ever: at most once a minute for each credential."""
        while True:
            await self._has_used.wait()
            self._has_used.clear()
            used, self._used = self._used, {}
            rows: list[tuple[CredentialKind, str, str]] = [
                (kind, key, _text(at)) for (kind, key), at in used.items()
            ]
            try:
                await self._database.write(principals.touch, rows)
            except StorageFull:
                logger.warning("last_used_not_written credentials=%d", len(rows))

    async def _look_up(self, key: tuple[CredentialKind, str], now: float) -> _Verified:
        self._verified.pop(key, None)
        generation = -1
        credential = None
        while generation != self._generation:
            # A revocation while we were reading makes what was read worthless.
            generation = self._generation
            credential = await self._read(*key)
        if credential is None:
            raise NotSignedIn("This login or token is not valid any more. Sign in again.")
        entry = _Verified(self._principal(credential), used_at=now, written_at=0)
        self._verified[key] = entry
        while len(self._verified) > CACHE_SIZE:
            self._verified.popitem(last=False)
        return entry

    async def _read(self, kind: CredentialKind, secret_hash: str) -> Credential | None:
        if kind == "token":
            return await self._database.read(principals.find_token, token_hash=secret_hash)
        return await self._database.read(
            principals.find_login, cookie_hash=secret_hash, used_after=_idle_since()
        )

    def _principal(self, credential: Credential) -> Principal:
        # A principal that fell out of the cache may still have live streams: share its revocation.
        revocation = self._revocations.setdefault(credential.id, Revocation())
        return Principal(
            owner_id=credential.owner_id,
            owner_name=credential.owner_name,
            kind=credential.kind,
            credential_id=credential.id,
            credential_name=credential.name,
            scope=credential.scope,
            revocation=revocation,
        )

    def _end(self, credential_id: str) -> None:
        self._generation += 1
        for key, entry in list(self._verified.items()):
            if entry.principal.credential_id == credential_id:
                del self._verified[key]
        if revocation := self._revocations.get(credential_id):
            revocation.end()

    def _count_sign_in(self) -> None:
        now = time.monotonic()
        if len(self._sign_ins) == SIGN_INS_PER_MINUTE and now - self._sign_ins[0] < 60:
            raise TooManyRequests(
                "Too many sign-ins were tried. Wait a minute, then try again.",
                retry_after_s=60 - (now - self._sign_ins[0]),
            )
        self._sign_ins.append(now)


def _idle_since() -> str:
    return to_rfc3339(utc_now() - LOGIN_IDLE_LIFE)


def _text(at: float) -> str:
    return to_rfc3339(datetime.fromtimestamp(at, UTC))
