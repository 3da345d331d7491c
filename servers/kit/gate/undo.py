"""The call that reverses another, for tools whose manifest names their inverse."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

UNDO_META = "flotilla/undo"

_chosen: ContextVar[dict[str, Any]] = ContextVar("chosen_undo_arguments")


def collect_undo_arguments() -> dict[str, Any]:
    """From now on, in this task and the threads it starts, `choose_undo_arguments` adds to this."""
    # An object that is shared, not a value that is set: a tool's thread has a copy of the context.
    arguments: dict[str, Any] = {}
    _chosen.set(arguments)
    return arguments


def choose_undo_arguments(arguments: Mapping[str, Any]) -> None:
    """Says what the call that reverses the running one needs.

    Raises RuntimeError outside a gated call: nobody would read it.
    """
    try:
        chosen = _chosen.get()
    except LookupError as error:
        raise RuntimeError("only a tool that writes, while it runs, can be undone") from error
    chosen.update(arguments)


def undo_meta(
    inverse: str,
    schema: Mapping[str, Any],
    *,
    chosen: Mapping[str, Any],
    result: Mapping[str, Any] | None,
    arguments: Mapping[str, Any],
) -> dict[str, Any] | None:
    """`{"tool", "arguments"}` of the inverse call, or None when an argument it needs is unknown.

    `schema` is the inverse tool's input schema. Each of its arguments is taken from what the tool
    chose, else from the call's result, else from the call's arguments. One that the tool chose to
    be None is left out.
    """
    found: dict[str, Any] = {}
    for name in schema.get("properties", {}):
        sources = (chosen,) if name in chosen else (result or {}, arguments)
        for source in sources:
            if source.get(name) is not None:
                found[name] = source[name]
                break
    if any(name not in found for name in schema.get("required", ())):
        return None
    return {"tool": inverse, "arguments": found}
