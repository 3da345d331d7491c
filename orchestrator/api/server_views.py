"""Servers and their tools, as answers show them; never a token."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.domain.accounts import ServerAccounts
from orchestrator.domain.servers import ServerConfig, Trust
from orchestrator.domain.tools import KnownTool, Label, ServerState, ServerStatus
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.wire import estimated_tokens

SignIn = Literal["signed_in", "needs_sign_in", "not_needed"]
_EXAMPLE: dict[str, Any] = {
    "id": "weather",
    "title": "Weather",
    "url": "https://weather.example.org/mcp",
    "enabled": True,
    "trust": "third_party",
    "token_source": "env WEATHER_TOKEN",
    "call_timeout_s": 30,
    "state": "ready",
    "since": "2026-11-20T10:30:00.123Z",
    "last_error": None,
    "latency_ms": {"p50": 41.5, "p95": 180.2, "calls": 57},
    "tools_on": 3,
    "tools_total": 4,
    "tool_count": 4,
    "schema_bytes": 2410,
    "schema_tokens": 603,
    "sign_in": "signed_in",
    "version": "1.4.0",
    "changed_tools": [],
    "disabled_tools": ["set_alarm"],
    "pss_bytes": None,
}


class LatencyMs(BaseModel):
    """Percentiles of the last 200 calls, in milliseconds; null without calls."""

    p50: float | None
    p95: float | None
    calls: int
    """How many were measured."""


class ServerEntry(BaseModel):
    """One configured server."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    title: str
    url: str
    enabled: bool
    trust: Trust
    token_source: str
    """Where its bearer token comes from: `none`, `file`, `env NAME` or `secret NAME`."""
    call_timeout_s: float
    state: ServerState
    since: str
    """When the state last changed."""
    last_error: str | None
    latency_ms: LatencyMs
    tools_on: int
    """Tools that are neither switched off nor held back."""
    tools_total: int
    tool_count: int
    """The same as `tools_total`."""
    schema_bytes: int
    """What the tools that are on add to each request to a model."""
    schema_tokens: int
    """An estimate: a token for four of these bytes. A model's own count may be a quarter off."""
    sign_in: SignIn
    """Our token at the server, and, where it works with accounts, how they stood when last read."""
    version: str | None
    changed_tools: list[str]
    """Tools that changed on the server and wait to be accepted."""
    disabled_tools: list[str]
    pss_bytes: int | None
    """Memory of a server of the fleet on this machine; null when it cannot be told."""


class ServerList(BaseModel):
    """The configured servers, in their order."""

    items: list[ServerEntry]
    problems: list[str]
    """Which edits of the settings by hand were not taken over, and why."""


class ServerToolEntry(BaseModel):
    """One tool of a server."""

    name: str
    """As the server itself calls it."""
    qualified_name: str
    title: str
    description: str
    enabled: bool
    """False when it is switched off in the settings."""
    held_back: bool
    """True when it changed on its server and waits to be accepted."""
    labels: list[Label]
    level: Annotated[int, Field(ge=0, le=3)]
    """0 runs, 1 runs and tells, 2 asks and may be told not to, 3 asks every time."""
    read_only: bool
    schema_tokens: int
    """An estimate: a token for four bytes of its schema."""


class ServerDetail(ServerEntry):
    """One configured server with its tools."""

    config: ServerConfig
    """As it stands in the settings."""
    tools: list[ServerToolEntry]


async def server_list(aggregator: MCPToolAggregator, problems: tuple[str, ...]) -> ServerList:
    """Return all servers; waits for none of them."""
    memory = await aggregator.pss_bytes()
    last = aggregator.accounts.last
    items = [
        _entry(status, memory.get(status.id), last(status.id)) for status in aggregator.servers()
    ]
    return ServerList(items=items, problems=list(problems))


async def server_entry(aggregator: MCPToolAggregator, server_id: str) -> ServerEntry:
    """Return one server. Raises NotFound."""
    status = aggregator.server(server_id)
    memory = await aggregator.pss_bytes()
    return _entry(status, memory.get(server_id), aggregator.accounts.last(server_id))


async def server_detail(aggregator: MCPToolAggregator, server_id: str) -> ServerDetail:
    """Return one server with its tools. Raises NotFound."""
    entry = await server_entry(aggregator, server_id)
    tools = [_tool(known) for known in aggregator.known_tools(server_id)]
    config = aggregator.server(server_id).config
    return ServerDetail(**entry.model_dump(), config=config, tools=tools)


def _entry(status: ServerStatus, pss_bytes: int | None, told: ServerAccounts | None) -> ServerEntry:
    config, latency = status.config, status.latency
    return ServerEntry(
        id=status.id,
        title=status.title,
        url=config.url,
        enabled=config.enabled,
        trust=config.trust,
        token_source=_token_source(config),
        call_timeout_s=config.call_timeout_s,
        state=status.state,
        since=status.since,
        last_error=status.last_error,
        latency_ms=LatencyMs(p50=latency.p50, p95=latency.p95, calls=latency.calls),
        tools_on=status.tools_on,
        tools_total=status.tool_count,
        tool_count=status.tool_count,
        schema_bytes=status.schema_bytes,
        schema_tokens=estimated_tokens(status.schema_bytes),
        sign_in=_sign_in(status, told),
        version=status.version,
        changed_tools=list(status.changed_tools),
        disabled_tools=list(config.disabled_tools),
        pss_bytes=pss_bytes,
    )


def _tool(known: KnownTool) -> ServerToolEntry:
    tool = known.definition
    return ServerToolEntry(
        name=tool.name,
        qualified_name=tool.qualified_name,
        title=tool.title,
        description=tool.description,
        enabled=known.is_enabled,
        held_back=known.is_held_back,
        labels=sorted(tool.labels),
        level=tool.level,
        read_only=tool.read_only,
        schema_tokens=estimated_tokens(known.schema_bytes),
    )


def _token_source(config: ServerConfig) -> str:
    if config.token_env is not None:
        return f"env {config.token_env}"
    if config.token_secret is not None:
        return f"secret {config.token_secret}"
    return "none" if config.token_file is None else "file"


def _sign_in(status: ServerStatus, told: ServerAccounts | None) -> SignIn:
    if status.state == "needs_sign_in" or (told is not None and told.state != "ok"):
        return "needs_sign_in"
    return "not_needed" if _token_source(status.config) == "none" else "signed_in"
