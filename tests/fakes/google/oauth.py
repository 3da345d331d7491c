"""The sign-in of the fake Google: consent, tokens, renewal, userinfo and revocation.

It is stricter than Google in two ways: PKCE (S256) and a `state` are demanded. Sources:
developers.google.com/identity/protocols/oauth2/{native-app,web-server} and RFC 6749, 7636, 8252.
"""

import base64
import binascii
import hashlib
import html
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.fakes.google.faults import Fault, Faults

CLIENT_ID = "flotilla-tests.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-flotilla-tests"
CODE_LIFE_S = 600
ACCESS_LIFE_S = 3599
TESTING_LIFE_S = 604_799
"""A refresh token while the consent screen is in Testing."""
IDENTITY_SCOPES = {"openid", "https://www.googleapis.com/auth/userinfo.email"}
KNOWN_SCOPES = IDENTITY_SCOPES | {
    f"https://www.googleapis.com/auth/{name}"
    for name in (
        "gmail.readonly",
        "gmail.modify",
        "gmail.compose",
        "gmail.send",
        "calendar.readonly",
        "calendar.events",
        "tasks.readonly",
        "tasks",
    )
}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_KNOWN_PARAMETERS = {
    "access_type",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "enable_granular_consent",
    "include_granted_scopes",
    "login_hint",
    "prompt",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
}

Kind = Literal["authorize", "exchange", "refresh", "userinfo", "revoke", "token"]


@dataclass(frozen=True)
class SeenSignIn:
    """A request to the sign-in that has ended; `token` is one of no known grant."""

    kind: Kind
    status: int
    email: str | None
    parameters: Mapping[str, str]


@dataclass
class _Grant:
    """What one consent of one person gave; its tokens end together."""

    email: str
    scopes: frozenset[str]
    ends_at: float | None
    is_revoked: bool = False


@dataclass
class _Code:
    redirect_uri: str
    challenge: str
    grant: _Grant
    has_refresh: bool
    ends_at: float
    is_used: bool = False


@dataclass
class _Access:
    grant: _Grant
    scopes: frozenset[str]
    ends_at: float


@dataclass
class _Ended(Exception):
    """A request that ends with an error of RFC 6749 (5.2)."""

    status: int
    error: str
    description: str
    email: str | None = None


@dataclass
class OAuth:
    """Who signed in, what that permits, and how the next sign-ins go."""

    now: Callable[[], float] = time.time
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    client_kind: Literal["installed", "web"] = "installed"
    """A desktop client may come back to any loopback address, a web client to registered ones."""
    chosen: str | None = None
    """Who sits at the browser; without, the person that `login_hint` names."""
    unticked: set[str] = field(default_factory=set[str])
    """Scopes that the person does not grant."""
    is_denied: bool = False
    """Whether the person presses Cancel."""
    asks: bool = False
    """Whether the person sees a page with a link first, as at Google; else the way back is open."""
    is_testing: bool = False
    rotates: bool = False
    """Whether a renewal gives another refresh token, and ends the one that was used."""
    access_life_s: int = ACCESS_LIFE_S
    faults: Faults = field(default_factory=Faults)
    """By `Kind`: `oauth.faults.next("refresh", status=503)`."""
    requests: list[SeenSignIn] = field(default_factory=list[SeenSignIn])

    def __post_init__(self) -> None:
        self.routes = [
            Route("/o/oauth2/v2/auth", _Endpoint(self, self._authorize), methods=["GET"]),
            Route("/token", _Endpoint(self, self._token), methods=["POST"]),
            Route("/oauth2/v3/userinfo", _Endpoint(self, self._userinfo), methods=["GET"]),
            Route("/revoke", _Endpoint(self, self._revoke), methods=["POST"]),
        ]
        self.lock = threading.RLock()
        self._redirect_uris: set[str] = set()
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, _Access] = {}
        self._refresh: dict[str, _Grant] = {}

    def environment(self, url: str) -> dict[str, str]:
        """Return the settings with which a server signs in here, `url` being the fake's."""
        return {
            "GOOGLE_OAUTH_CLIENT_ID": self.client_id,
            "GOOGLE_OAUTH_CLIENT_SECRET": self.client_secret,
            "GOOGLE_OAUTH_AUTH_URI": f"{url}/o/oauth2/v2/auth",
            "GOOGLE_OAUTH_TOKEN_URI": f"{url}/token",
            "GOOGLE_OAUTH_REVOKE_URI": f"{url}/revoke",
            "GOOGLE_USERINFO_URI": f"{url}/oauth2/v3/userinfo",
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
        }

    def register_redirect(self, uri: str) -> None:
        """Add an address to a web client; raises ValueError for what the console refuses."""
        parts = urlsplit(uri)
        host = parts.hostname or ""
        is_loopback = host in _LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
            raise ValueError("must use https, except for localhost")
        if not is_loopback and (re.fullmatch(r"[\d.]+|.*:.*", host) or "." not in host):
            raise ValueError("must be a name with a public top-level domain")
        if "#" in uri or "*" in uri or parts.username or "/.." in parts.path:
            raise ValueError("no fragment, wildcard, user or path traversal")
        self._redirect_uris.add(uri)

    def token_for(self, email: str, scopes: Iterable[str]) -> str:
        """Return a new access token of an account."""
        with self.lock:
            grant = self._new_grant(email, scopes)
            return self._new_access(grant)

    def refresh_token_for(self, email: str, scopes: Iterable[str]) -> str:
        """Return a new refresh token of an account."""
        with self.lock:
            return self._new_refresh(self._new_grant(email, scopes))

    def identity(self, bearer_token: str) -> tuple[str, frozenset[str]] | None:
        """Return whose token this is and its scopes; None for one that is not valid."""
        with self.lock:
            found = self._access.get(bearer_token)
            if found is None or found.grant.is_revoked or found.ends_at <= self.now():
                return None
            return found.grant.email, found.scopes

    def revoke(self, email: str) -> None:
        """Make every token of an account invalid, as its owner can at myaccount.google.com."""
        with self.lock:
            for grant in [a.grant for a in self._access.values()] + [*self._refresh.values()]:
                grant.is_revoked = grant.is_revoked or grant.email == email

    def expire_access(self) -> None:
        """Let every access token end now."""
        with self.lock:
            self._access.clear()

    def count(self, kind: Kind) -> int:
        """Return how many requests of a kind have come."""
        with self.lock:
            return sum(seen.kind == kind for seen in self.requests)

    def _authorize(self, asked: Mapping[str, str], _: Request) -> tuple[Response, str | None]:
        if unknown := set(asked) - _KNOWN_PARAMETERS:
            raise _Ended(400, "invalid_request", f"Parameter not allowed: {sorted(unknown)}")
        if asked.get("client_id") != self.client_id:
            raise _Ended(401, "invalid_client", "The OAuth client was not found.")
        redirect_uri = asked.get("redirect_uri", "")
        if not self._may_return_to(redirect_uri):
            raise _Ended(400, "redirect_uri_mismatch", f"Not registered: {redirect_uri!r}")
        self._check_asked(asked)
        if self.is_denied:
            answer = {"error": "access_denied", "state": asked["state"]}
            return self._back(f"{redirect_uri}?{urlencode(answer)}"), None
        email = (self.chosen or asked.get("login_hint", "")).lower()
        if "@" not in email:
            raise _Ended(400, "interaction_required", "Nobody sits at the browser.")
        granted = frozenset(asked["scope"].split()) - (self.unticked - IDENTITY_SCOPES)
        has_consented = any(grant.email == email for grant in self._refresh.values())
        grant = self._new_grant(email, granted)
        code = f"4/0A{secrets.token_urlsafe(40)}"
        self._codes[code] = _Code(
            redirect_uri=redirect_uri,
            challenge=asked["code_challenge"],
            grant=grant,
            has_refresh=asked.get("access_type") == "offline"
            and ("consent" in asked.get("prompt", "") or not has_consented),
            ends_at=self.now() + CODE_LIFE_S,
        )
        answer = {"state": asked["state"], "code": code, "scope": " ".join(sorted(granted))}
        return self._back(f"{redirect_uri}?{urlencode(answer)}"), email

    def _back(self, address: str) -> Response:
        if not self.asks:
            return RedirectResponse(address, 302)
        link = f'<a href="{html.escape(address)}">Continue</a>'
        return HTMLResponse(f"<!doctype html><title>Google</title>{link}")

    def _check_asked(self, asked: Mapping[str, str]) -> None:
        if asked.get("response_type") != "code":
            raise _Ended(400, "unsupported_response_type", "Only `code` is known here.")
        if not set(asked.get("scope", "").split()) <= KNOWN_SCOPES or not asked.get("scope"):
            raise _Ended(400, "invalid_scope", f"Some scopes are invalid: {asked.get('scope')}")
        if asked.get("code_challenge_method") != "S256":
            raise _Ended(400, "invalid_request", "code_challenge_method has to be S256.")
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}", asked.get("code_challenge", "")):
            raise _Ended(400, "invalid_request", "code_challenge is not a SHA-256 digest.")
        if len(asked.get("state", "")) < 32:
            raise _Ended(400, "invalid_request", "There is no state that nobody can guess.")
        if asked.get("access_type", "online") not in ("online", "offline"):
            raise _Ended(400, "invalid_request", "Invalid parameter value for access_type.")
        if not set(asked.get("prompt", "none").split()) <= {"none", "consent", "select_account"}:
            raise _Ended(400, "invalid_request", "Invalid parameter value for prompt.")

    def _may_return_to(self, uri: str) -> bool:
        if self.client_kind == "web":
            return uri in self._redirect_uris
        parts = urlsplit(uri)
        is_plain = "#" not in uri and "?" not in uri and not parts.username
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and is_plain

    def _token(self, asked: Mapping[str, str], request: Request) -> tuple[Response, str | None]:
        self._check_client(asked, request)
        match asked.get("grant_type"):
            case "authorization_code":
                return self._exchange(asked)
            case "refresh_token":
                return self._renew(asked)
            case other:
                raise _Ended(400, "unsupported_grant_type", f"Invalid grant_type: {other}")

    def _check_client(self, asked: Mapping[str, str], request: Request) -> None:
        """Basic or the body, and not both (RFC 6749, 2.3)."""
        basic = _basic(request.headers.get("authorization"))
        in_body = (asked.get("client_id"), asked.get("client_secret"))
        if basic is not None and in_body[1] is not None:
            raise _Ended(400, "invalid_request", "More than one way of client authentication.")
        if (basic or in_body) != (self.client_id, self.client_secret):
            raise _Ended(401, "invalid_client", "The provided client secret is invalid.")

    def _exchange(self, asked: Mapping[str, str]) -> tuple[Response, str | None]:
        code = self._codes.get(asked.get("code", ""))
        if code is None or code.ends_at <= self.now():
            raise _Ended(400, "invalid_grant", "Malformed auth code.")
        email = code.grant.email
        if code.is_used:
            code.grant.is_revoked = True  # RFC 6749 (4.1.2): somebody else may have it
            raise _Ended(400, "invalid_grant", "Bad Request", email)
        if asked.get("redirect_uri") != code.redirect_uri:
            raise _Ended(400, "redirect_uri_mismatch", "Bad Request", email)
        verifier = asked.get("code_verifier")
        if not verifier:
            raise _Ended(400, "invalid_grant", "Missing code verifier.", email)
        if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier) or code.challenge != _s256(
            verifier
        ):
            raise _Ended(400, "invalid_grant", "Invalid code verifier.", email)
        code.is_used = True
        answer = self._answer(code.grant)
        if "openid" in code.grant.scopes:
            answer["id_token"] = "eyJhbGciOiJub25lIn0.e30."
        if code.has_refresh:
            answer["refresh_token"] = self._new_refresh(code.grant)
        return JSONResponse(answer), email

    def _renew(self, asked: Mapping[str, str]) -> tuple[Response, str | None]:
        used = asked.get("refresh_token", "")
        grant = self._refresh.get(used)
        if grant is None or grant.is_revoked:
            raise _Ended(400, "invalid_grant", "Token has been expired or revoked.")
        if grant.ends_at is not None and grant.ends_at <= self.now():
            raise _Ended(400, "invalid_grant", "Token has been expired or revoked.", grant.email)
        answer = self._answer(grant)
        if self.rotates:
            del self._refresh[used]
            answer["refresh_token"] = self._new_refresh(grant)
        return JSONResponse(answer), grant.email

    def _userinfo(self, _: Mapping[str, str], request: Request) -> tuple[Response, str | None]:
        scheme, _space, token = request.headers.get("authorization", "").partition(" ")
        found = self.identity(token) if scheme.lower() == "bearer" else None
        if found is None or "openid" not in found[1]:
            raise _Ended(401, "invalid_request", "Invalid Credentials")
        email, scopes = found
        person: dict[str, Any] = {"sub": str(int(hashlib.sha256(email.encode()).hexdigest(), 16))}
        if scopes >= IDENTITY_SCOPES:
            # As Google has it: in the letters that the person once chose.
            person |= {"email": email.capitalize(), "email_verified": True}
        return JSONResponse(person), email

    def _revoke(self, asked: Mapping[str, str], _: Request) -> tuple[Response, str | None]:
        token = asked.get("token", "")
        access = self._access.get(token)
        grant = self._refresh.get(token) or (access.grant if access else None)
        if grant is None or grant.is_revoked:
            raise _Ended(400, "invalid_token", "Token expired or revoked")
        # One consent is all consents of this client: Google ends them together.
        self.revoke(grant.email)
        return JSONResponse({}), grant.email

    def _new_grant(self, email: str, scopes: Iterable[str]) -> _Grant:
        ends_at = self.now() + TESTING_LIFE_S if self.is_testing else None
        return _Grant(email, frozenset(scopes), ends_at)

    def _new_access(self, grant: _Grant) -> str:
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._access[token] = _Access(grant, grant.scopes, self.now() + self.access_life_s)
        return token

    def _new_refresh(self, grant: _Grant) -> str:
        token = f"1//0{secrets.token_urlsafe(32)}"
        self._refresh[token] = grant
        return token

    def _answer(self, grant: _Grant) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "access_token": self._new_access(grant),
            "expires_in": self.access_life_s,
            "scope": " ".join(sorted(grant.scopes)),
            "token_type": "Bearer",
        }
        if grant.ends_at is not None:
            answer["refresh_token_expires_in"] = int(grant.ends_at - self.now())
        return answer


Handler = Callable[[Mapping[str, str], Request], tuple[Response, str | None]]


class _Endpoint:
    """One address: reads what is asked, notes it, and lets it go wrong where a test says so.

    An ASGI app and no function, because only so it gets the `send` that knows the connection.
    """

    def __init__(self, oauth: OAuth, handler: Handler) -> None:
        self._oauth = oauth
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        asked = await _asked(request)
        kind = _kind(scope["path"], asked)
        fault = self._oauth.faults.take(kind)
        if fault is not None and fault.is_held:
            await anyio.to_thread.run_sync(fault.wait)
        is_lost = fault is not None and bool(fault.status or fault.is_cut or fault.is_short)
        if fault is None or not is_lost:
            await self._done(kind, asked, request)(scope, receive, send)
            return
        if fault.acted:
            self._done(kind, asked, request)
        else:
            self._note(kind, fault.status, None, asked)
        await _go_wrong(fault)(scope, receive, send)

    def _done(self, kind: Kind, asked: Mapping[str, str], request: Request) -> Response:
        with self._oauth.lock:
            try:
                answer, email = self._handler(asked, request)
            except _Ended as ended:
                content = {"error": ended.error, "error_description": ended.description}
                answer, email = JSONResponse(content, ended.status), ended.email
            self._note(kind, answer.status_code, email, asked)
        return answer

    def _note(self, kind: Kind, status: int, email: str | None, asked: Mapping[str, str]) -> None:
        with self._oauth.lock:
            self._oauth.requests.append(SeenSignIn(kind, status, email, dict(asked)))


def _go_wrong(fault: Fault) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if fault.is_cut:
            send.__self__.transport.abort()  # type: ignore[attr-defined]
            return
        if fault.status:
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            content = {"error": fault.reason or "internal_failure", "error_description": "ordered"}
            await JSONResponse(content, fault.status, headers)(scope, receive, send)
            return
        head = [(b"content-type", b"application/json"), (b"content-length", b"200")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b'{"access', "more_body": True})
        send.__self__.transport.close()  # type: ignore[attr-defined]

    return answer


async def _asked(request: Request) -> dict[str, str]:
    """Return the parameters; one that comes twice is refused by RFC 6749 (3.1)."""
    if request.method == "POST":
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        assert kind == "application/x-www-form-urlencoded", kind
        assert not request.url.query, "secrets do not belong into an address"
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True)
    else:
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
    asked = dict(pairs)
    assert len(asked) == len(pairs), "a parameter is there twice"
    return asked


def _kind(path: str, asked: Mapping[str, str]) -> Kind:
    if path == "/token":
        grants: dict[str, Kind] = {"authorization_code": "exchange", "refresh_token": "refresh"}
        return grants.get(asked.get("grant_type", ""), "token")
    kinds: dict[str, Kind] = {"/revoke": "revoke", "/oauth2/v3/userinfo": "userinfo"}
    return kinds.get(path, "authorize")


def _basic(header: str | None) -> tuple[str, str] | None:
    if header is None:
        return None
    try:
        text = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    name, _, password = text.partition(":")
    return unquote_plus(name), unquote_plus(password)


def _s256(verifier: str) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    )
