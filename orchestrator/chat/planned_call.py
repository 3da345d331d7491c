"""A tool call of the model, judged before it runs."""

from dataclasses import dataclass

from orchestrator.domain.chat import RequestedToolCall
from orchestrator.domain.tools import ToolDefinition, ToolResult


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """What will become of one call: it is refused, waits for the owner, or runs."""

    request: RequestedToolCall
    definition: ToolDefinition | None
    """None when no server knows the tool."""
    refusal: ToolResult | None = None
    question: str | None = None
    """Why the owner must be asked first, in a sentence."""

    @property
    def id(self) -> str:
        """The id of ours under which it is stored."""
        return self.request.tool_call_id

    @property
    def is_read_only(self) -> bool:
        """Whether running it twice, or beside others, changes nothing."""
        return self.definition is not None and self.definition.read_only


def groups_of(calls: list[PlannedCall]) -> list[list[PlannedCall]]:
    """Return what runs together: neighbours that only read and ask nobody; others alone."""
    groups: list[list[PlannedCall]] = []
    is_open = False
    for call in calls:
        joins = call.is_read_only and call.question is None
        if joins and is_open:
            groups[-1].append(call)
        else:
            groups.append([call])
        is_open = joins
    return groups
