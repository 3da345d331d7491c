"""What the gate of a server says with a code, in place of a result of the tool."""

from dataclasses import dataclass
from typing import Any

from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.domain.tools import ToolCallStatus

_STATUS: dict[str, ToolCallStatus] = {
    "result_too_large": "done",
    "outcome_unknown": "unknown",
    "in_progress": "unknown",
    "denied": "denied",
    "approval_expired": "denied",
}


class _Error(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    code: str = Field(pattern=r"^[a-z][a-z_]{0,39}$")
    message: str = Field(min_length=1)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    error: _Error


@dataclass(frozen=True, slots=True)
class GateError:
    """Why a call ended without a result of its tool."""

    code: str
    message: str
    """For the model and the person."""
    status: ToolCallStatus
    structured: dict[str, Any]
    """`{"error": {"code", "message", ...}}` as the server sent it."""


def gate_error_in(result: CallToolResult) -> GateError | None:
    """Return the error with a code that this result carries, or None when it has none."""
    content = result.structured_content
    if not result.is_error or content is None:
        return None
    try:
        error = _Body.model_validate(content).error
    except ValidationError:
        return None  # Data of a tool that failed by itself, not an error of a gate.
    status = _STATUS.get(error.code, "failed")
    return GateError(error.code, error.message, status, content)
