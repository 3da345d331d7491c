"""Where a browser begins a sign-in at a provider, and where the provider sends it back to.

The session cookie is SameSite=Strict, so it does not come along on the way back. A cookie of its
own, Lax and for ten minutes, binds the browser to the one sign-in it began.
"""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import TypeAdapter, ValidationError

from orchestrator.api import oauth_pages
from orchestrator.api.authentication import login_secret
from orchestrator.api.authenticator import Authenticator, Principal
from orchestrator.api.deps import AuthenticatorDep, SettingsDep, SignInsDep
from orchestrator.api.oauth_answer import answer_in
from orchestrator.api.sign_ins import LIFE_S, LOOPBACK, Begun, SignIns, Wish, key_of
from orchestrator.domain.accounts import AccountName, CapabilityNames
from orchestrator.errors import FlotillaError, InvalidRequest, NotSignedIn, ServerUnavailable

router = APIRouter(prefix="/oauth", include_in_schema=False)

_COOKIE = "flotilla_oauth_"
_OWN_SITES = (None, "same-origin", "none")
_ACCOUNT = TypeAdapter[str | None](AccountName | None)
_CAPABILITIES = TypeAdapter[tuple[str, ...]](CapabilityNames)


@router.get("/{server}/start")
async def start_sign_in(
    server: str,
    request: Request,
    settings: SettingsDep,
    sign_ins: SignInsDep,
    authenticator: AuthenticatorDep,
) -> Response:
    """Send the owner's browser to the provider; `question`, or `capability` and `account`."""
    if request.headers.get("sec-fetch-site") not in _OWN_SITES:
        # Our own link brings the session cookie along, and no other page can follow it.
        return oauth_pages.go_on(_here(request))
    try:
        principal = await _owner(request, authenticator)
        wish = await _wish(request, server, principal, sign_ins)
        back = return_address(request, settings.port, server)
        begun = await sign_ins.begin(principal, wish, redirect_uri=back)
    except NotSignedIn:
        return oauth_pages.sign_in_first()
    except FlotillaError as error:
        return oauth_pages.failed(error)
    if not can_return(request):
        return oauth_pages.comes_back_elsewhere(begun.url, back)
    answer = RedirectResponse(begun.url, 303, {"cache-control": "no-store"})
    bind_browser(answer, request, begun)
    return answer


@router.get("/{server}/callback")
async def complete_sign_in(server: str, request: Request, sign_ins: SignInsDep) -> Response:
    """Relay what the provider sent back, once, and say how it ended."""
    try:
        answer = answer_in(_query(request))
    except InvalidRequest as error:
        return oauth_pages.failed(error)
    name = _cookie_name(request, key_of(answer["state"]))
    try:
        done = await sign_ins.returned(server, answer, request.cookies.get(name))
        shown = oauth_pages.completed(done)
    except ServerUnavailable as error:
        # The same address may be tried again, so the cookie stays.
        return oauth_pages.failed(error)
    except FlotillaError as error:
        shown = oauth_pages.failed(error)
    _set_cookie(shown, request, name, "", 0)
    return shown


def can_return(request: Request) -> bool:
    """Whether a provider would send a browser back to where this request came to."""
    origin: str = request.state.origin
    parts = urlsplit(origin)
    return parts.scheme == "https" or parts.hostname in LOOPBACK


def return_address(request: Request, port: int, server: str) -> str:
    """Return where the provider shall send the browser; providers take https and loopback."""
    origin = request.state.origin if can_return(request) else f"http://127.0.0.1:{port}"
    return f"{origin}/oauth/{server}/callback"


def bind_browser(answer: Response, request: Request, begun: Begun) -> None:
    """Give the browser what it has to show when it comes back."""
    _set_cookie(answer, request, _cookie_name(request, begun.key), begun.browser, LIFE_S)


async def _owner(request: Request, authenticator: Authenticator) -> Principal:
    """Return who is signed in to this browser. Raises NotSignedIn."""
    secret = login_secret(request.scope)
    if secret is None:
        raise NotSignedIn("Sign in first: `flotilla sign-in` makes a link.")
    return await authenticator.verify("login", secret)


async def _wish(request: Request, server: str, principal: Principal, sign_ins: SignIns) -> Wish:
    asked = request.query_params
    if question_id := asked.get("question"):
        return await sign_ins.wish_of(principal, server, question_id)
    try:
        capabilities = _CAPABILITIES.validate_python(tuple(asked.getlist("capability")))
        return Wish(server, capabilities, _ACCOUNT.validate_python(asked.get("account") or None))
    except ValidationError:
        raise InvalidRequest(
            "This link is broken: it names no capability or account as there can be."
        ) from None


def _here(request: Request) -> str:
    """Return the address of this request, without the origin."""
    query = _query(request)
    return f"{request.url.path}?{query}" if query else request.url.path


def _query(request: Request) -> str:
    return request.scope["query_string"].decode("latin-1")


def _cookie_name(request: Request, key: str) -> str:
    """Return the cookie's name: over https, one that no other host or plain page can set."""
    is_https = request.state.origin.startswith("https:")
    return f"{'__Host-' if is_https else ''}{_COOKIE}{key}"


def _set_cookie(answer: Response, request: Request, name: str, value: str, max_age_s: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path="/",
        secure=request.state.origin.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
