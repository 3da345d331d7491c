"""The tools as a model is offered them, built once per change of the fleet."""

from typing import Any

from orchestrator.domain.tools import ToolDefinition
from orchestrator.tools.aggregator import MCPToolAggregator


class ToolMenu:
    """The callable tools in the wire format's terms."""

    def __init__(self, aggregator: MCPToolAggregator) -> None:
        self._aggregator = aggregator
        self._tools: tuple[ToolDefinition, ...] = ()
        self._schemas: list[dict[str, Any]] = []

    def schemas(self) -> list[dict[str, Any]]:
        """Return the `tools` field of a request, in a stable order (prompt caches need it)."""
        tools = self._aggregator.tools()
        if tools is not self._tools:
            self._schemas = [_schema(tool) for tool in tools]
            self._tools = tools
        return self._schemas


def _schema(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.qualified_name,
            "description": tool.description,
            "parameters": tool.input_schema,
        },
    }
