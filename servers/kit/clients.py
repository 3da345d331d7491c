"""Who calls: the holder of a token, from the door to the tools."""

import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from fastmcp.server.context import Context
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from servers.kit.client_tokens import ClientToken, Scope, digest_of, read_client_tokens
from servers.kit.token import TokenError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How long a token that was revoked may still be used."""


class Caller(AuthenticatedUser):
    """Who shows a token, as `scope["user"]`: the SDK binds sessions and questions to it."""

    def __init__(self, token_id: str, scope: Scope, name: str | None = None) -> None:
        # The text of the token is not kept: nobody behind the door needs it.
        super().__init__(AccessToken(token=token_id, client_id=token_id, scopes=[scope]))
        self.token_id = token_id
        self.name = name
        """What a client's token is called; None for the server's own."""

    @property
    def is_client(self) -> bool:
        return self.name is not None

    @property
    def is_read_only(self) -> bool:
        return "full" not in self.scopes


def caller_of(ctx: Context | None) -> Caller | None:
    """Who makes a call; None over stdio, where there are no tokens."""
    request_context = ctx.request_context if ctx is not None else None
    request = request_context.request if request_context is not None else None
    user = request.scope.get("user") if request is not None else None
    return user if isinstance(user, Caller) else None


class Clients:
    """Knows the tokens of a server's clients; a file it cannot use counts as none, and is logged.

    It looks at the file when it does not know a token, and at most once a second otherwise.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = -LOOK_EVERY_S
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: tuple[tuple[str, Caller], ...] = ()

    def caller(self, shown: bytes) -> Caller | None:
        """Whose token that is; None for one that is not valid (any more)."""
        digest = digest_of(shown)
        if self._clock() - self._looked_at >= LOOK_EVERY_S:
            self._look()
        known = self._find(digest)
        return known if known is not None or not self._look() else self._find(digest)

    def _find(self, digest: str) -> Caller | None:
        found = None
        for kept, caller in self._tokens:
            if hmac.compare_digest(kept, digest):
                found = caller
        return found

    def _look(self) -> bool:
        """Whether the file was read anew."""
        self._looked_at = self._clock()
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        except OSError:  # missing, or reading it will say what is wrong
            stamp = None
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            tokens = read_client_tokens(self._path)
        except (TokenError, OSError) as error:
            logger.error("client_tokens_unusable: %s", error)  # noqa: TRY400, the sentence says it
            tokens = ()
        self._tokens = tuple((token.sha256, _caller(token)) for token in tokens)
        return True


def _caller(token: ClientToken) -> Caller:
    return Caller(token.id, token.scope, token.name)
