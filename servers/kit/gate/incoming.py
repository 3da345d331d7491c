"""What a call says about itself on the wire, before anybody judges it."""

import secrets
from typing import Annotated, Any

from fastmcp.exceptions import ToolError
from fastmcp.server.context import Context
from mcp.types import CallToolRequestParams
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from servers.kit.clients import caller_of
from servers.kit.gate.canonical import call_hash
from servers.kit.gate.journal import Call
from servers.kit.gate.wording import one_line
from servers.kit.manifest import Manifest

MAX_SOURCES = 20
MAX_SOURCE_CHARS = 80
MAX_CLIENT_CHARS = 100
MAX_TOKEN_CHARS = 70

# Part of a URL path and of log lines.
CallId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:~-]{1,200}$")]


class CallMeta(BaseModel):
    """The keys of `_meta` that the gate reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call_id: CallId | None = Field(default=None, alias="flotilla/call_id")
    grant: str | None = Field(default=None, alias="flotilla/grant", max_length=16_000)
    turn_id: CallId | None = Field(default=None, alias="flotilla/turn_id")
    taint: tuple[str, ...] = Field(default=(), alias="flotilla/taint", max_length=1_000)
    approvals: str | None = Field(default=None, alias="flotilla/approvals")

    @property
    def caller_asks(self) -> bool:
        """Whether the caller asks the owner itself, and only wants to be told that it must."""
        return self.approvals == "caller"


class AskState(BaseModel):
    """What a call goes on with after a question: a client sends it back, sealed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_id: CallId
    is_approved: bool = False
    """Whether the person at the client approved exactly this call already."""
    account: str | None = None
    """Whose call they were asked about."""


def call_meta_of(ctx: Context) -> CallMeta:
    """The call's `_meta`. Raises ToolError when a key of ours cannot be used."""
    request = ctx.request_context
    try:
        return CallMeta.model_validate(dict(request.meta or {}) if request is not None else {})
    except ValidationError as error:
        names = ", ".join(str(detail["loc"][0]) for detail in error.errors())
        raise ToolError(f"These keys of the call's _meta cannot be used: {names}.") from error


def new_call(
    message: CallToolRequestParams, ctx: Context, meta: CallMeta, manifest: Manifest, owner: str
) -> Call:
    """The call as it came, nothing decided. Raises ToolError for arguments JSON cannot carry."""
    tool = manifest.tools[message.name]
    arguments = message.arguments or {}
    try:
        hash_ = call_hash(owner=owner, server=manifest.name, tool=message.name, arguments=arguments)
    except ValueError as error:
        raise ToolError(f"Invalid arguments for {message.name}: they are not JSON.") from error
    asked = asked_before(message)
    counted = arguments.get(tool.counted_by) if tool.counted_by is not None else None
    return Call(
        call_id=asked.call_id if asked else meta.call_id or f"call_{secrets.token_hex(13)}",
        owner=owner,
        server=manifest.name,
        tool=message.name,
        hash=hash_,
        client=_client_name(ctx),
        labels=tuple(sorted(tool.labels)),
        level=tool.level,
        effect=tool.kind_of_effect,
        effects=len(counted) if isinstance(counted, list) else 1,  # pyright: ignore[reportUnknownArgumentType]  # JSON
        turn_id=meta.turn_id,
        taint=tuple(one_line(source, MAX_SOURCE_CHARS) for source in meta.taint[:MAX_SOURCES]),
    )


def asked_before(message: CallToolRequestParams) -> AskState | None:
    """What was kept when this call was asked about; the SDK has unsealed and checked it."""
    if message.request_state is None:
        return None
    return AskState.model_validate_json(message.request_state)


def _client_name(ctx: Context) -> str:
    """As it calls itself, and then as the owner called its token, which it cannot choose."""
    params: Any = ctx.session.client_params if ctx.request_context is not None else None
    name = "unknown"
    if params is not None:
        name = f"{params.client_info.name} {params.client_info.version}"
    caller = caller_of(ctx)
    if caller is None or not caller.is_client:
        return one_line(name, MAX_CLIENT_CHARS)
    token = one_line(f"token {caller.token_id}: {caller.name}", MAX_TOKEN_CHARS)
    return f"{one_line(name, MAX_CLIENT_CHARS - len(token) - 3)} ({token})"
