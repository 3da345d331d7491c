"""How many changes a turn made, for the owner who stopped it."""

from collections.abc import Iterable

from orchestrator.chat.events import Notice
from orchestrator.domain.chat import ToolCallRecord


def effects_notice(calls: Iterable[ToolCallRecord]) -> Notice | None:
    """Return what took effect of the calls of a turn that was stopped, as they ended.

    None when it was about to change nothing.
    """
    states = [call.state for call in calls if call.effect is not None]
    if not states:
        return None
    made, unknown = states.count("done"), states.count("unknown")
    said = "1 change was made" if made == 1 else f"{made} changes were made"
    doubt = f"; the outcome of {unknown} is unknown" if unknown else ""
    return Notice(code="effects", message=f"Stopped. {said}{doubt}.")
