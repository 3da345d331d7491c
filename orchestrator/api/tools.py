"""The tools of all servers, and calls of them by programs: the same policy as in the chat."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.approvals import Arguments
from orchestrator.api.deps import AggregatorDep, DirectCallsDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.chat.direct_calls import Waiting
from orchestrator.domain.approvals import Approval
from orchestrator.domain.tools import Effect, KnownTool, Label, ToolCallStatus

router = APIRouter(prefix="/api/mcp/tools", tags=["mcp"])


class ToolEntry(BaseModel):
    """One tool, and what the owner should know of it."""

    qualified_name: str
    server: str
    title: str
    description: str
    input_schema: dict[str, Any]
    labels: list[Label]
    level: Annotated[int, Field(ge=0, le=3)]
    """0 runs, 1 runs and tells, 2 asks and may be told not to, 3 asks every time."""
    effect: Effect | None
    destinations: list[str]
    """The arguments that say where something goes."""
    undoable: bool
    enabled: bool
    """False when it is switched off in the settings."""
    held_back: bool
    """True when it changed on its server and waits to be accepted."""
    available: bool
    """Whether its server can be reached now."""


class ToolList(BaseModel):
    """The tools of all configured servers, by server and name."""

    items: list[ToolEntry]


class ToolCallBody(BaseModel):
    """One call of a tool."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"arguments": {"expression": "2 * 21"}}]},
    )

    arguments: Arguments = {}
    call_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:~-]{1,200}$")] | None = None
    """The same id with the same call again returns what became of it; it never runs twice."""


class ToolCallAnswer(BaseModel):
    """How a call ended."""

    call_id: str
    status: ToolCallStatus
    text: str
    """For people and models, capped."""
    structured: Any
    """For programs."""
    error: str | None
    error_code: str | None
    undoable: bool
    """Whether its server can reverse it."""
    attachments: list[str]
    """Ids of the files that it returned; `text` names them."""


class WaitingToolCall(BaseModel):
    """A call that waits for the owner's decision, or that was approved and has not ended yet."""

    call_id: str
    status: Literal["waiting"] = "waiting"
    approval: Approval


@router.get("", responses=problem_responses())
async def list_tools(_principal: PrincipalDep, aggregator: AggregatorDep) -> ToolList:
    """List all known tools, also those that cannot be called now; never waits for a server."""
    return ToolList(items=[_entry(known) for known in aggregator.known_tools()])


@router.post(
    "/{qualified_name}/call",
    response_model=ToolCallAnswer,
    responses={
        202: {"model": WaitingToolCall, "description": "It waits; ask again with its call id."},
        **problem_responses(404, 409, 502, 507),
    },
)
async def call_tool(
    qualified_name: str, body: ToolCallBody, principal: PrincipalDep, calls: DirectCallsDep
) -> ToolCallAnswer | JSONResponse:
    """Call a tool, or ask the owner first where the policy says so."""
    answer = await calls.call(
        principal.owner_id, qualified_name, body.arguments, call_id=body.call_id
    )
    if isinstance(answer, Waiting):
        waiting = WaitingToolCall(call_id=answer.call_id, approval=answer.approval)
        return JSONResponse(waiting.model_dump(mode="json"), status_code=202)
    return ToolCallAnswer(call_id=answer.call_id, **answer.outcome.model_dump())


def _entry(known: KnownTool) -> ToolEntry:
    tool = known.definition
    return ToolEntry(
        qualified_name=tool.qualified_name,
        server=tool.server,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        labels=sorted(tool.labels),
        level=tool.level,
        effect=tool.effect,
        destinations=list(tool.destinations),
        undoable=tool.undoable,
        enabled=known.is_enabled,
        held_back=known.is_held_back,
        available=known.is_up,
    )
