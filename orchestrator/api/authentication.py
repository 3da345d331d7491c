"""The second door: every request below /api has a principal, or is refused."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.api.authenticator import Authenticator, Principal
from orchestrator.api.problems import break_off, refuse
from orchestrator.api.signed_access import is_one_attachment, open_with, signed_address
from orchestrator.attachments.signing import ContentSigner
from orchestrator.errors import FlotillaError, Forbidden, NotSignedIn
from orchestrator.store.audit import acting_as

COOKIE = "flotilla_session"
PUBLIC = frozenset([("POST", "/api/auth/sign-in")])
HISTORY = ("/api/sessions", "/api/attachments")
APPROVALS = "/api/approvals"
APPROVAL_ID = "appr_"
UPLOADS = "/api/uploads"


def cookie_name(origin: str) -> str:
    """Return the cookie's name: over https, one that no other host or plain page can set."""
    return f"__Host-{COOKIE}" if origin.startswith("https:") else COOKIE


class Authentication:
    """ASGI middleware behind the guard; it sets `scope["state"]["principal"]`.

    Exactly one credential may come: the session cookie or one bearer token, never from the URL.
    Only the content of a file is also given, without a principal, to an address that we signed.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Callable[[], Authenticator],
        signer: Callable[[], ContentSigner],
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._signer = signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand the request on with its principal."""
        if scope["type"] == "lifespan" or not _is_protected(scope):
            await self._app(scope, receive, send)
            return
        try:
            principal = None if self._is_signed(scope) else await self._principal(scope)
        except FlotillaError as error:
            await refuse(scope, send, error)
            return
        if principal is None:
            await self._app(scope, receive, send)
            return
        scope["state"]["principal"] = principal
        await self._run(principal, scope, receive, send)

    def _is_signed(self, scope: Scope) -> bool:
        """Tell whether a signature opens this very path. Raises Forbidden when a wrong one should.

        With a login beside it, a wrong one does not matter: an open page has addresses that ended.
        """
        address = signed_address(scope)
        if address is None:
            return False
        try:
            open_with(self._signer(), scope, address)
        except Forbidden:
            if any(_credentials(scope)):
                return False
            raise
        return True

    async def _principal(self, scope: Scope) -> Principal:
        authorizations, cookies = _credentials(scope)
        if len(authorizations) + len(cookies) != 1:
            raise NotSignedIn(
                "Two credentials came with this request; send one."
                if authorizations or cookies
                else "Sign in first: `flotilla sign-in` makes a link."
            )
        authenticator = self._authenticator()
        if cookies:
            return await authenticator.verify("login", cookies[0].decode("latin-1"))
        scheme, _, token = authorizations[0].decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedIn("Send the token as `Authorization: Bearer ...`.")
        principal = await authenticator.verify("token", token.strip())
        _refuse_beyond_scope(principal, scope)
        return principal

    async def _run(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request so that revoking its credential ends it, streams included."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A request runs in a task.")
        revocation = principal.revocation
        revocation.requests.add(task)
        acting_as.set(principal.actor)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not revocation.is_ended or task.uncancel() > 0:
                raise
            error = NotSignedIn("This login or token was revoked. Sign in again.")
            await break_off(scope, send, error)
        finally:
            revocation.requests.discard(task)


def login_secret(scope: Scope) -> str | None:
    """Return what the session cookie holds; None unless exactly one came."""
    _, cookies = _credentials(scope)
    return cookies[0].decode("latin-1") if len(cookies) == 1 else None


def _is_protected(scope: Scope) -> bool:
    path: str = scope["path"]
    if not path.startswith(("/api/", "/metrics")) and path != "/api":
        return False
    return (scope.get("method"), path) not in PUBLIC


def _credentials(scope: Scope) -> tuple[list[bytes], list[bytes]]:
    """Return the `Authorization` headers and the session cookies."""
    authorizations: list[bytes] = []
    cookies: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorizations.append(value)
        elif name == b"cookie":
            cookies.extend(_session_cookies(value, scope["state"]["origin"]))
    return authorizations, cookies


def _session_cookies(header: bytes, origin: str) -> list[bytes]:
    wanted = cookie_name(origin).encode()
    pairs = (part.strip().partition(b"=") for part in header.split(b";"))
    return [value for name, _, value in pairs if name == wanted]


def _refuse_beyond_scope(principal: Principal, scope: Scope) -> None:
    """Only the owner decides: no token of a server can, whatever it asks for. Raises Forbidden."""
    match principal.scope:
        case "owner":
            return
        case "read_history":
            if not _reads_history(scope):
                raise Forbidden("This token may only read sessions and attachments.")
        case "server":
            if not _does_what_servers_do(scope):
                raise Forbidden(
                    "This token may only ask for approvals, read those, upload files and read a "
                    "file by its id."
                )


def _does_what_servers_do(scope: Scope) -> bool:
    path: str = scope["path"]
    if scope.get("method") == "POST":
        return path in (APPROVALS, UPLOADS)
    if is_one_attachment(path):
        return scope.get("method") in ("GET", "HEAD")
    return scope.get("method") == "GET" and path.startswith(f"{APPROVALS}/{APPROVAL_ID}")


def _reads_history(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope.get("method") in ("GET", "HEAD") and any(
        path == root or path.startswith(f"{root}/") for root in HISTORY
    )
