"""Joins the fragments of parallel tool calls."""

from dataclasses import dataclass, field

import msgspec

from orchestrator.domain.ids import new_id
from orchestrator.llm.chunks import ToolCallPart
from orchestrator.llm.deltas import ModelToolCall


@dataclass(slots=True)
class _OpenCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class ToolCallFragments:
    """Fragments received so far, in the order in which their calls began."""

    def __init__(self) -> None:
        self._calls: list[_OpenCall] = []
        self._by_index: dict[int, _OpenCall] = {}

    def add(self, part: ToolCallPart) -> None:
        """Put a fragment to its call. Id and name count where they first appear."""
        call = self._call_of(part)
        call.id = call.id or part.id or ""
        if part.function is None:
            return
        call.name = call.name or part.function.name or ""
        arguments = part.function.arguments
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        if arguments:
            call.arguments.append(arguments)

    def joined(self) -> list[ModelToolCall]:
        """Return the calls with unique ids; arguments stay as the model wrote them."""
        calls: list[ModelToolCall] = []
        seen: set[str] = set()
        for call in self._calls:
            call_id = call.id if call.id and call.id not in seen else new_id("call")
            seen.add(call_id)
            calls.append(ModelToolCall(call_id, call.name, "".join(call.arguments)))
        return calls

    def _call_of(self, part: ToolCallPart) -> _OpenCall:
        if part.index is None:
            known = self._calls[-1] if self._calls else None
        else:
            known = self._by_index.get(part.index)
        # Ollama numbers every call 0 and Gemini's endpoint none: there a new id is a new call.
        if known is None or (part.id and known.id and part.id != known.id):
            known = _OpenCall()
            self._calls.append(known)
            if part.index is not None:
                self._by_index[part.index] = known
        return known
