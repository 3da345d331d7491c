"""The fleet as it stands: each configured server and its state."""

from fastapi import APIRouter
from pydantic import BaseModel

from orchestrator.api.deps import AggregatorDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.tools import ServerState

router = APIRouter(prefix="/api/mcp", tags=["mcp"])


class ServerEntry(BaseModel):
    """One configured server."""

    id: str
    title: str
    url: str
    enabled: bool
    state: ServerState
    since: str
    """When the state last changed."""
    last_error: str | None
    tool_count: int
    version: str | None


class ServerList(BaseModel):
    """The configured servers, in their order."""

    items: list[ServerEntry]


@router.get("/servers", responses=problem_responses())
async def list_servers(_principal: PrincipalDep, aggregator: AggregatorDep) -> ServerList:
    """List the servers with their states; never waits for one."""
    fields = ServerEntry.model_fields
    return ServerList(
        items=[
            ServerEntry(**{name: getattr(status, name) for name in fields})
            for status in aggregator.servers()
        ]
    )
