"""Signing in and out, API tokens, logins."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from orchestrator.api.authentication import cookie_name
from orchestrator.api.deps import AuthenticatorDep, DatabaseDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.errors import Conflict
from orchestrator.store.local_tokens import is_local
from orchestrator.store.principals import (
    ApiToken,
    Login,
    Owner,
    list_logins,
    list_tokens,
)

COOKIE_MAX_AGE_S = 400 * 24 * 3600
"""The longest that browsers take; the server ends a login after 30 idle days."""

router = APIRouter(prefix="/api/auth", tags=["auth"])


class StrictBody(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SignIn(StrictBody):
    """The one-time code of a sign-in link."""

    code: str = Field(min_length=1, max_length=200)


class NewToken(StrictBody):
    """The API token to make."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    scope: Literal["owner", "read_history"] = "owner"


class Me(BaseModel):
    """Who is signed in."""

    owner: Owner


class SignInLink(BaseModel):
    """A one-time code for /api/auth/sign-in."""

    code: str
    expires_at: str


class MintedToken(ApiToken):
    """A new API token, with its text; nobody can see it again."""

    token: str


class LoginEntry(Login):
    """One browser that is signed in."""

    current: bool
    """True for the login that asks."""


class Tokens(BaseModel):
    """The API tokens in force."""

    items: list[ApiToken]


class Logins(BaseModel):
    """The browsers that are signed in."""

    items: list[LoginEntry]


@router.post("/sign-in", status_code=204, responses=problem_responses(429, 507))
async def sign_in(body: SignIn, request: Request, authenticator: AuthenticatorDep) -> Response:
    """Trade a one-time code for the session cookie."""
    cookie = await authenticator.sign_in(body.code, request.headers.get("user-agent", ""))
    answer = Response(status_code=204)
    _set_cookie(answer, request, cookie, COOKIE_MAX_AGE_S)
    return answer


@router.post("/sign-out", status_code=204, responses=problem_responses(507))
async def sign_out(
    request: Request, principal: PrincipalDep, authenticator: AuthenticatorDep
) -> Response:
    """End this browser's login, and with it its live streams. A token stays in force."""
    if principal.kind == "login":
        await authenticator.sign_out(principal, principal.credential_id)
    answer = Response(status_code=204)
    _set_cookie(answer, request, "", 0)
    return answer


@router.get("/me", responses=problem_responses())
async def me(principal: PrincipalDep) -> Me:
    """Return the owner who is signed in."""
    return Me(owner=Owner(id=principal.owner_id, name=principal.owner_name))


@router.post("/links", status_code=201, responses=problem_responses(507))
async def create_link(principal: PrincipalDep, authenticator: AuthenticatorDep) -> SignInLink:
    """Make a sign-in link: good once, within 15 minutes."""
    code, expires_at = await authenticator.new_link(principal)
    return SignInLink(code=code, expires_at=expires_at)


@router.get("/tokens", responses=problem_responses())
async def get_tokens(principal: PrincipalDep, database: DatabaseDep) -> Tokens:
    """List the API tokens in force."""
    return Tokens(items=await database.read(list_tokens, principal.owner_id))


@router.post("/tokens", status_code=201, responses=problem_responses(409, 507))
async def create_token(
    body: NewToken, principal: PrincipalDep, authenticator: AuthenticatorDep
) -> MintedToken:
    """Make an API token; its text is shown this once."""
    if is_local(body.name):
        raise Conflict(f"The name {body.name!r} belongs to a program of this machine.")
    token, text = await authenticator.new_token(principal, name=body.name, scope=body.scope)
    return MintedToken(**token.model_dump(), token=text)


@router.delete("/tokens/{token_id}", status_code=204, responses=problem_responses(404, 507))
async def revoke_token(
    token_id: str, principal: PrincipalDep, authenticator: AuthenticatorDep
) -> Response:
    """Revoke an API token; its live streams end."""
    await authenticator.revoke_token(principal, token_id)
    return Response(status_code=204)


@router.get("/logins", responses=problem_responses())
async def get_logins(principal: PrincipalDep, database: DatabaseDep) -> Logins:
    """List the browsers that are signed in."""
    logins = await database.read(list_logins, principal.owner_id)
    current = principal.credential_id
    return Logins(
        items=[LoginEntry(**login.model_dump(), current=login.id == current) for login in logins]
    )


@router.delete("/logins/{login_id}", status_code=204, responses=problem_responses(404, 507))
async def remove_login(
    login_id: str, principal: PrincipalDep, authenticator: AuthenticatorDep
) -> Response:
    """Sign a browser out; its live streams end."""
    await authenticator.sign_out(principal, login_id)
    return Response(status_code=204)


def _set_cookie(answer: Response, request: Request, value: str, max_age_s: int) -> None:
    origin: str = request.state.origin
    answer.set_cookie(
        cookie_name(origin),
        value,
        max_age=max_age_s,
        path="/",
        secure=origin.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
