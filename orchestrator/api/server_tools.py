"""The tools of one server: switched on and off, and what changed about them."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from orchestrator.api.deps import AggregatorDep, DatabaseDep, DocumentsDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.api.server_bodies import switched
from orchestrator.api.server_views import ServerEntry, server_entry
from orchestrator.errors import NotFound
from orchestrator.store import audit
from orchestrator.tools.change_text import change_text
from orchestrator.tools.names import qualified_name
from orchestrator.tools.pins import ToolChange

router = APIRouter(prefix="/api/mcp/servers/{server_id}", tags=["mcp"])

ServerId = Annotated[str, Path(examples=["weather"])]
ToolName = Annotated[str, Path(examples=["set_alarm"])]


class ToolSwitch(BaseModel):
    """Whether models may be offered a tool."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    enabled: StrictBool


class ChangedTool(BaseModel):
    """A tool that is held back until its new definition is accepted."""

    tool: str
    """As the server itself calls it."""
    qualified_name: str
    old: dict[str, Any] | None
    """The definition that was accepted before; null when the tool is new."""
    new: dict[str, Any]
    diff: str
    """Both as a unified diff; characters that cannot be seen are written as escapes."""
    sha256: str
    """Of the new definition; accepting it takes this."""


class ChangedTools(BaseModel):
    """What waits to be accepted, by tool."""

    items: list[ChangedTool]


class Acceptance(BaseModel):
    """Which definition was read."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"sha256": "0" * 64}]}
    )

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@router.put("/tools/{tool:path}", responses=problem_responses(404, 507))
async def switch_tool(
    server_id: ServerId,
    tool: ToolName,
    body: ToolSwitch,
    _principal: PrincipalDep,
    aggregator: AggregatorDep,
    documents: DocumentsDep,
) -> ServerEntry:
    """Switch one tool of a server on or off."""
    known = {known.definition.name for known in aggregator.known_tools(server_id)}
    if tool not in known.union(aggregator.server(server_id).config.disabled_tools):
        raise NotFound(f"The server {server_id!r} has no tool {tool!r}.")
    await documents.change(lambda now: switched(now, server_id, tool, enabled=body.enabled))
    return await server_entry(aggregator, server_id)


@router.get("/changes", responses=problem_responses(404))
async def list_changes(
    server_id: ServerId, _principal: PrincipalDep, aggregator: AggregatorDep
) -> ChangedTools:
    """List the tools that changed on the server and are held back, with both definitions."""
    changes = aggregator.changes(server_id)
    # Comparing large definitions takes a while, and a server chooses how large they are.
    return await asyncio.to_thread(_changed_tools, changes)


@router.post("/changes/{tool:path}/accept", responses=problem_responses(404, 409, 507))
async def accept_change(
    server_id: ServerId,
    tool: ToolName,
    body: Acceptance,
    principal: PrincipalDep,
    aggregator: AggregatorDep,
    database: DatabaseDep,
) -> ServerEntry:
    """Accept the definition of that hash; 409 when the tool has changed again since."""
    aggregator.accept(server_id, tool, body.sha256)
    await database.write(
        audit.append,
        principal.owner_id,
        actor=principal.actor,
        action="tool_change_accepted",
        subject=qualified_name(server_id, tool),
        details={"sha256": body.sha256},
    )
    return await server_entry(aggregator, server_id)


def _changed_tools(changes: tuple[ToolChange, ...]) -> ChangedTools:
    return ChangedTools(items=[_changed_tool(change) for change in changes])


def _changed_tool(change: ToolChange) -> ChangedTool:
    return ChangedTool(
        tool=change.tool,
        qualified_name=qualified_name(change.server, change.tool),
        old=change.old.model_dump() if change.old else None,
        new=change.new.model_dump(),
        diff=change_text(change),
        sha256=change.sha256,
    )
