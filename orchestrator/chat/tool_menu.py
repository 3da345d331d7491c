"""The tools as a model is offered them, built once per change of the fleet and set of servers."""

from typing import Any

from orchestrator.domain.tools import ToolDefinition
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.wire import wire_schema

MAX_CHOICES = 64
"""Sets of servers whose schemas are kept."""


class ToolMenu:
    """The callable tools in the wire format's terms."""

    def __init__(self, aggregator: MCPToolAggregator) -> None:
        self._aggregator = aggregator
        self._tools: tuple[ToolDefinition, ...] = ()
        self._schemas: dict[frozenset[str], list[dict[str, Any]]] = {}

    def schemas(self, disabled: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
        """Return the `tools` field of a request, without those of the `disabled` servers.

        Their order is stable: prompt caches need it.
        """
        tools = self._aggregator.tools()
        if tools is not self._tools:
            self._schemas.clear()
            self._tools = tools
        found = self._schemas.get(disabled)
        if found is None:
            if len(self._schemas) >= MAX_CHOICES:
                del self._schemas[next(iter(self._schemas))]
            found = [wire_schema(tool) for tool in tools if tool.server not in disabled]
            self._schemas[disabled] = found
        return found
