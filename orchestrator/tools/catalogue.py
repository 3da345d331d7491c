"""The tools of all servers by their qualified names: which are known, and which may be called."""

from collections.abc import Iterable

from orchestrator.domain.tools import KnownTool, ToolDefinition
from orchestrator.errors import ToolNotFound
from orchestrator.tools.connection import Connection
from orchestrator.tools.states import USABLE


class Catalogue:
    """A view of the connections, built anew whenever one changes, so that reading costs nothing."""

    def __init__(self, connections: Iterable[Connection] = ()) -> None:
        routes: dict[str, tuple[Connection, ToolDefinition]] = {}
        tools: list[ToolDefinition] = []
        for connection in connections:
            is_up, hidden = connection.state in USABLE, connection.hidden
            for tool in connection.definitions.values():
                if is_up and tool.name not in hidden:
                    tools.append(tool)
                routes.setdefault(tool.qualified_name, (connection, tool))
        self.tools = tuple(tools)
        """Those that can be called now, in a stable order."""
        self._routes = routes

    def tool(self, qualified_name: str) -> ToolDefinition | None:
        """Return a known tool."""
        route = self._routes.get(qualified_name)
        return route[1] if route else None

    def callable(self, qualified_name: str) -> ToolDefinition:
        """Return a tool that may be called, even while its server is away. Raises ToolNotFound."""
        route = self._routes.get(qualified_name)
        if route is None:
            raise ToolNotFound(f"There is no tool {qualified_name!r}.")
        connection, tool = route
        check_callable(connection, tool)
        return tool

    def known(self, server: str | None = None) -> tuple[KnownTool, ...]:
        """Return all tools, or those of one server, also those that cannot be called."""
        return tuple(
            KnownTool(
                definition=tool,
                is_enabled=tool.name not in connection.config.disabled_tools,
                is_held_back=tool.name in connection.held_back,
                is_up=connection.state in USABLE,
                schema_bytes=connection.schema_sizes[tool.name],
            )
            for connection, tool in self._routes.values()
            if server in (None, connection.config.id)
        )


def check_callable(connection: Connection, tool: ToolDefinition) -> None:
    """Raise ToolNotFound when the tool is switched off or held back."""
    if tool.name in connection.config.disabled_tools:
        raise ToolNotFound(f"The tool {tool.qualified_name!r} is switched off in the settings.")
    if tool.name in connection.held_back:
        raise ToolNotFound(
            f"The tool {tool.qualified_name!r} changed on its server and waits to be accepted."
        )
