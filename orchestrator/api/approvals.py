"""The inbox over HTTP: what waits, decisions, standing approvals, and what servers ask for."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.api.authenticator import Principal
from orchestrator.api.deps import (
    DatabaseDep,
    InboxDep,
    PrincipalDep,
    SettingsDep,
    TemporaryDep,
)
from orchestrator.api.moments import Moment
from orchestrator.api.problems import problem_responses
from orchestrator.approvals.canonical import (
    MAX_ASKED_BYTES,
    call_hash,
    canonical_json,
    is_too_large_to_ask,
)
from orchestrator.domain.approvals import (
    Approval,
    ApprovalScope,
    ApprovalState,
    Decision,
    StandingApproval,
)
from orchestrator.domain.ids import new_id
from orchestrator.domain.previews import Preview
from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.domain.tools import Effect
from orchestrator.errors import Forbidden, InvalidRequest, NotFound
from orchestrator.settings import Settings
from orchestrator.store import approvals, standing_approvals
from orchestrator.store.local_tokens import server_of
from orchestrator.tools.names import qualified_name

MAX_PENDING_OF_SERVER = 100
MAX_DEPTH = 64
"""Lists and objects nested deeper than this are no arguments of any tool."""

router = APIRouter(prefix="/api/approvals", tags=["approvals"])


def _plain_json(arguments: dict[str, Any]) -> dict[str, Any]:
    """Refuse what has no canonical form, or cannot be shown again."""
    level: list[Any] = [arguments]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
    if level:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    canonical_json(arguments)
    return arguments


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] - any JSON


def _readable(arguments: dict[str, Any]) -> dict[str, Any]:
    if is_too_large_to_ask(arguments):
        raise ValueError(f"are more than {MAX_ASKED_BYTES // 1024} kB, which nobody is asked about")
    return arguments


Arguments = Annotated[dict[str, Any], AfterValidator(_plain_json)]
AskedArguments = Annotated[Arguments, AfterValidator(_readable)]
ShortText = Annotated[str, Field(max_length=300)]


class Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Approve(Body):
    """How the call is approved."""

    scope: ApprovalScope = "once"
    arguments: AskedArguments | None = None
    """What is to run instead of what was asked for."""


class Deny(Body):
    """Why the call is denied."""

    reason: Annotated[str, Field(max_length=2_000)] | None = None
    """Who asked sees it."""


class Ticket(Body):
    """What a server asks for on behalf of a client that cannot ask the owner itself."""

    ticket_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:~-]{1,200}$")]
    """The id of the call, under which it runs once it is approved."""
    tool: Annotated[str, Field(min_length=1, max_length=100)]
    """As the server itself names it."""
    title: ShortText
    arguments: AskedArguments
    hash: str
    """The hash of the call, which is computed again."""
    level: Annotated[int, Field(ge=0, le=3)]
    effect: Effect | None = None
    reason: Annotated[str, Field(min_length=1, max_length=1_000)]
    preview: Preview | None = None
    """What the call would do; null for most tools."""
    account: ShortText | None = None
    undoable: bool = False
    client: ShortText
    """What the client calls itself."""
    expires_at: Moment


class ApprovalPage(BaseModel):
    """Approvals, the newest first."""

    items: list[Approval]
    next_cursor: str | None


class StandingApprovals(BaseModel):
    """The tools the owner need not be asked about again."""

    items: list[StandingApproval]


class TicketAnswer(Approval):
    """The approval of a ticket."""

    url: str
    """Where the owner decides."""


@router.get("", responses=problem_responses(404))
async def list_approvals(
    principal: PrincipalDep,
    database: DatabaseDep,
    temporary: TemporaryDep,
    state: ApprovalState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> ApprovalPage:
    """List approvals, the newest first; `state=pending` is what waits for the owner."""
    items, next_cursor = await database.read(
        approvals.page, principal.owner_id, limit=limit, state=state, cursor=cursor
    )
    if cursor is None:  # Those of temporary chats are few and new: all of them come first.
        items = [*await temporary.approvals(principal.owner_id, state), *items]
    return ApprovalPage(items=items, next_cursor=next_cursor)


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": TicketAnswer, "description": "It was asked for before."},
        **problem_responses(409, 429, 507),
    },
)
async def ask_for_approval(
    body: Ticket,
    principal: PrincipalDep,
    database: DatabaseDep,
    settings: SettingsDep,
    inbox: InboxDep,
    response: Response,
) -> TicketAnswer:
    """Ask the owner for a client of a server; the same ticket again returns the same approval."""
    if principal.scope != "server":
        raise Forbidden("Only a server of the fleet can ask here, with the token made for it.")
    approval, is_new = await database.write(
        approvals.insert_ticket,
        principal.owner_id,
        _approval(body, principal, settings),
        max_pending=MAX_PENDING_OF_SERVER,
    )
    inbox.note([approval])
    response.status_code = 201 if is_new else 200
    return TicketAnswer(**approval.model_dump(), url=f"{settings.address}/approvals/{approval.id}")


@router.get("/standing", responses=problem_responses())
async def list_standing(principal: PrincipalDep, database: DatabaseDep) -> StandingApprovals:
    """List the standing approvals in force, the oldest first."""
    return StandingApprovals(
        items=await database.read(standing_approvals.listed, principal.owner_id)
    )


@router.delete("/standing/{standing_id}", status_code=204, responses=problem_responses(404, 507))
async def revoke_standing(
    standing_id: str, principal: PrincipalDep, database: DatabaseDep
) -> Response:
    """End a standing approval: the next call of its tool asks again."""
    await database.write(
        standing_approvals.revoke, principal.owner_id, standing_id, actor=principal.actor
    )
    return Response(status_code=204)


@router.get("/{approval_id}", responses=problem_responses(404))
async def get_approval(
    approval_id: str, principal: PrincipalDep, database: DatabaseDep
) -> Approval:
    """Return one approval; a server sees only the tickets of its own."""
    approval = await database.read(approvals.get, principal.owner_id, approval_id)
    if principal.scope == "server" and not _is_own_ticket(approval, principal):
        raise NotFound(f"There is no approval {approval_id!r}.")
    return approval


@router.post("/{approval_id}/approve", responses=problem_responses(404, 409, 507))
async def approve(
    approval_id: str, principal: PrincipalDep, inbox: InboxDep, body: Approve | None = None
) -> Approval:
    """Let the call run: once, or from now on; the same decision again changes nothing."""
    choice = body or Approve()
    decision = Decision(
        approve=True, by=principal.means, scope=choice.scope, arguments=choice.arguments
    )
    return await inbox.decide(principal.owner_id, approval_id, decision)


@router.post("/{approval_id}/deny", responses=problem_responses(404, 409, 507))
async def deny(
    approval_id: str, principal: PrincipalDep, inbox: InboxDep, body: Deny | None = None
) -> Approval:
    """Keep the call from running; who asked is told the reason."""
    decision = Decision(approve=False, by=principal.means, reason=body and body.reason)
    return await inbox.decide(principal.owner_id, approval_id, decision)


def _approval(body: Ticket, principal: Principal, settings: Settings) -> Approval:
    server = server_of(principal.credential_name)
    expected = call_hash(
        owner=principal.owner_name, server=server, tool=body.tool, arguments=body.arguments
    )
    if body.hash != expected:
        raise InvalidRequest(
            f"hash: is not that of this call by {server!r} for the owner "
            f"{principal.owner_name!r}; check the server's name and FLOTILLA_OWNER."
        )
    now = utc_now()
    latest = now + timedelta(hours=settings.approval_lifetime_h)
    return Approval(
        id=new_id("appr"),
        origin="client",
        state="pending",
        tool_call_id=body.ticket_id,
        server=server,
        tool=qualified_name(server, body.tool),
        title=body.title,
        account=body.account,
        arguments=body.arguments,
        level=body.level,
        effect=body.effect,
        reason=body.reason,
        preview=body.preview,
        undoable=body.undoable,
        client=body.client,
        created_at=to_rfc3339(now),
        expires_at=to_rfc3339(min(max(body.expires_at, now), latest)),
    )


def _is_own_ticket(approval: Approval, principal: Principal) -> bool:
    is_of_server = approval.server == server_of(principal.credential_name)
    return approval.origin == "client" and is_of_server
