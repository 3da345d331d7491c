"""How many changes a turn made, for the owner who stopped it."""

from collections.abc import Iterable

from orchestrator.chat.events import Notice
from orchestrator.domain.chat import ToolCallRecord


def effects_notice(calls: Iterable[ToolCallRecord]) -> Notice | None:
    """Return what took effect of the calls of a turn that was stopped, as they ended.

    None when it was about to change nothing.
    """
    changing = [call for call in calls if call.effect is not None]
    if not changing:
        return None
    # A call may delete fifty things at once; a server that does not count is taken at one.
    made = sum(1 if c.effects is None else c.effects for c in changing if c.state == "done")
    unknown = sum(call.state == "unknown" for call in changing)
    said = "1 change was made" if made == 1 else f"{made} changes were made"
    doubt = f"; the outcome of {unknown} is unknown" if unknown else ""
    return Notice(code="effects", message=f"Stopped. {said}{doubt}.")
