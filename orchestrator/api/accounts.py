"""The accounts that servers of the fleet work with: signing in, and leaving."""

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.authenticator import Principal
from orchestrator.api.deps import (
    AggregatorDep,
    PrincipalDep,
    QuestionsDep,
    SettingsDep,
    SignInsDep,
    StoredDatabaseDep,
)
from orchestrator.api.oauth import bind_browser, can_return, return_address
from orchestrator.api.oauth_answer import answer_in_address
from orchestrator.api.problems import problem_responses
from orchestrator.api.sign_ins import Wish
from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.domain.accounts import (
    Account,
    AccountName,
    Capability,
    CapabilityName,
    Revoked,
)
from orchestrator.domain.tools import ServerStatus
from orchestrator.errors import FlotillaError, NotFound
from orchestrator.store import audit
from orchestrator.tools.aggregator import MCPToolAggregator

router = APIRouter(prefix="/api/accounts", tags=["accounts"])

ServerId = Annotated[str, Path(examples=["gmail"])]
OneAccount = Annotated[AccountName, Path(examples=["anna@example.org"])]
_EXAMPLE_ACCOUNT: dict[str, Any] = {
    "account": "anna@example.org",
    "state": "ok",
    "is_default": True,
    "capabilities": ["read"],
    "scopes": ["https://www.googleapis.com/auth/gmail.readonly"],
    "signed_in_at": "2026-11-20T10:30:00.123Z",
    "last_refresh_at": None,
    "works_until": "2026-11-27T10:30:00.123Z",
    "problem": None,
}
_EXAMPLE: dict[str, Any] = {
    "server": "gmail",
    "title": "Gmail",
    "provider": "google",
    "provider_title": "Google",
    "setup": None,
    "state": "ok",
    "problem": None,
    "capabilities": [
        {
            "name": "read",
            "title": "read your mail",
            "scopes": ["https://www.googleapis.com/auth/gmail.readonly"],
        }
    ],
    "accounts": [_EXAMPLE_ACCOUNT],
}


class ServerAccounts(BaseModel):
    """One server of the fleet that works with accounts."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    server: str
    title: str
    provider: str | None
    """Null until the server has told it once."""
    provider_title: str | None
    setup: str | None
    """What the owner has to set before anybody can sign in."""
    state: Literal["ok", "needs_sign_in", "not_configured", "unavailable"]
    problem: str | None
    """Why it is `unavailable`."""
    capabilities: list[Capability]
    accounts: list[Account]
    """Empty while it is `unavailable`: what is not known is not shown."""


class AccountList(BaseModel):
    """The servers that work with accounts, in the order of the settings."""

    items: list[ServerAccounts]


class NewAccountSignIn(BaseModel):
    """What to sign in to."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"capabilities": ["read"]}]}
    )

    capabilities: Annotated[list[CapabilityName], Field(max_length=32)] = []
    """What the account shall permit; without: what the server asks for first."""
    account: AccountName | None = None
    """Which account it shall be."""
    question_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """A question that this answers; it then says the rest."""


class BegunAccountSignIn(BaseModel):
    """A sign-in that waits for the person at the provider."""

    url: str
    """Where to go."""
    expires_at: str
    redirect_uri: str
    """Where the provider sends the browser back to."""
    can_return: bool
    """False when that does not reach Flotilla from this browser: paste the address then."""


class ReturnAddress(BaseModel):
    """Where the provider sent the browser back to."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"address": "http://127.0.0.1:8000/oauth/gmail/callback?state=...&code=..."}
            ]
        },
    )

    address: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]
    """The whole address as the browser shows it."""


class AccountPatch(BaseModel):
    """What to change."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"is_default": True}]}
    )

    is_default: Literal[True]
    """Calls that name no account use this one from now on."""


@router.get("", responses=problem_responses())
async def list_accounts(
    principal: PrincipalDep, aggregator: AggregatorDep, questions: QuestionsDep
) -> AccountList:
    """List the accounts of all servers; those that do not answer within 3 s are `unavailable`."""
    asked = [status for status in aggregator.servers() if _may_have_accounts(aggregator, status)]
    async with asyncio.TaskGroup() as group:
        reads = [
            group.create_task(_read(aggregator, questions, principal, status)) for status in asked
        ]
    return AccountList(items=[found for read in reads if (found := read.result()) is not None])


@router.post("/{server}/sign-ins", status_code=201, responses=problem_responses(404, 409, 502))
async def begin_account_sign_in(
    server: ServerId,
    body: NewAccountSignIn,
    request: Request,
    response: Response,
    principal: PrincipalDep,
    settings: SettingsDep,
    sign_ins: SignInsDep,
) -> BegunAccountSignIn:
    """Begin a sign-in. The browser that asks is the only one that may come back with it."""
    if body.question_id is not None:
        wish = await sign_ins.wish_of(principal, server, body.question_id)
    else:
        wish = Wish(server, tuple(body.capabilities), body.account)
    back = return_address(request, settings.port, server)
    begun = await sign_ins.begin(principal, wish, redirect_uri=back)
    comes_back = principal.kind == "login" and can_return(request)
    if comes_back:
        bind_browser(response, request, begun)
    return BegunAccountSignIn(
        url=begun.url, expires_at=begun.expires_at, redirect_uri=back, can_return=comes_back
    )


@router.post("/{server}/sign-ins/complete", responses=problem_responses(404, 409, 502, 507))
async def complete_account_sign_in(
    server: ServerId, body: ReturnAddress, principal: PrincipalDep, sign_ins: SignInsDep
) -> Account:
    """Complete a sign-in whose browser could not come back by itself."""
    done = await sign_ins.pasted(principal, server, answer_in_address(body.address))
    return done.account


@router.patch("/{server}/{account:path}", responses=problem_responses(404, 409, 502))
async def change_account(
    server: ServerId,
    account: OneAccount,
    _body: AccountPatch,
    _principal: PrincipalDep,
    aggregator: AggregatorDep,
) -> Account:
    """Make an account the one that is used when a call names none."""
    return await aggregator.accounts.make_default(server, account)


@router.delete("/{server}/{account:path}", responses=problem_responses(404, 409, 502, 507))
async def forget_account(
    server: ServerId,
    account: OneAccount,
    principal: PrincipalDep,
    aggregator: AggregatorDep,
    database: StoredDatabaseDep,
) -> Revoked:
    """Sign out of an account: the server forgets it and tells the provider."""
    revoked = await aggregator.accounts.forget(server, account)
    noted = partial(
        audit.append,
        actor=principal.actor,
        action="account_signed_out",
        subject=server,
        details={"account": account, "revoked": revoked.revoked},
    )
    await database.write(noted, principal.owner_id)
    return revoked


def _may_have_accounts(aggregator: MCPToolAggregator, status: ServerStatus) -> bool:
    """Whether to ask: what is not known to do without accounts."""
    if status.config.trust != "fleet" or not status.enabled:
        return False
    known = aggregator.known_tools(status.id)
    return not known or any(tool.definition.capability is not None for tool in known)


async def _read(
    aggregator: MCPToolAggregator,
    questions: QuestionDesk,
    principal: Principal,
    status: ServerStatus,
) -> ServerAccounts | None:
    """Return how a server stands; None for one that is not known to work with accounts."""
    try:
        told = await aggregator.accounts.read(status.id)
    except NotFound:
        return None
    except FlotillaError as error:
        return _unavailable(aggregator, status, str(error))
    await questions.seen(principal.owner_id, status.id, told.accounts)
    return ServerAccounts(
        server=status.id,
        title=status.title,
        provider=told.provider,
        provider_title=told.provider_title,
        setup=told.setup,
        state=told.state,
        problem=None,
        capabilities=list(told.capabilities),
        accounts=list(told.accounts),
    )


def _unavailable(
    aggregator: MCPToolAggregator, status: ServerStatus, problem: str
) -> ServerAccounts | None:
    last = aggregator.accounts.last(status.id)
    if last is None and not aggregator.known_tools(status.id):
        return None
    return ServerAccounts(
        server=status.id,
        title=status.title,
        provider=last.provider if last else None,
        provider_title=last.provider_title if last else None,
        setup=None,
        state="unavailable",
        problem=problem,
        capabilities=list(last.capabilities) if last else [],
        accounts=[],
    )
