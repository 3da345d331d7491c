"""What travels with a call, in `_meta`, and what comes back there."""

import logging
from typing import Any, cast

from mcp.types import CallToolResult, RequestParamsMeta
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import Permit, UndoCall
from orchestrator.tools.names import qualified_name

logger = logging.getLogger(__name__)

UNDO_KEY = "flotilla/undo"
EFFECTS_KEY = "flotilla/effects"
_MOST_EFFECTS = 1_000_000


class _Undo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    arguments: dict[str, Any]


def call_meta(call_id: str, permit: Permit) -> RequestParamsMeta:
    """Return the `_meta` of a call to a server of the fleet; a third party must not see it.

    `approvals: caller` keeps the server from asking the owner: we do that ourselves.
    """
    meta: dict[str, Any] = {"flotilla/call_id": call_id, "flotilla/approvals": "caller"}
    if permit.turn_id is not None:
        meta["flotilla/turn_id"] = permit.turn_id
    if permit.grant is not None:
        meta["flotilla/grant"] = permit.grant
    if permit.taint:
        meta["flotilla/taint"] = list(permit.taint)
    return cast("RequestParamsMeta", meta)


def effects_in(result: CallToolResult) -> int | None:
    """Return how many effects the server counted, when it says so."""
    said = (result.meta or {}).get(EFFECTS_KEY)
    return said if isinstance(said, int) and 0 <= said <= _MOST_EFFECTS else None


def undo_in(result: CallToolResult, server: ServerConfig) -> UndoCall | None:
    """Return the call that reverses the one this result is of, when the server names one."""
    said = (result.meta or {}).get(UNDO_KEY)
    if said is None or result.is_error:
        return None
    try:
        undo = _Undo.model_validate(said)
    except ValidationError:
        logger.warning("undo_not_understood server=%s", server.id)
        return None
    return UndoCall(qualified_name(server.id, undo.tool), undo.arguments)
