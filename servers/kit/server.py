"""The MCP server every folder of the fleet builds on."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Generic, TypeVar

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.exceptions import ValidationError as ArgumentsError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult
from mcp.types import CallToolRequestParams
from pydantic import ValidationError

from servers.kit.errors import TooLarge, argument_errors, reported_to_model
from servers.kit.gate.undo import choose_undo_arguments
from servers.kit.manifest import Manifest, ManifestError, load_manifest
from servers.kit.output import check_result_size
from servers.kit.schemas import inlined

# A server's tools change only when it is restarted; clients re-list on reconnect anyway.
LIST_TTL_S = 300
POLICY_META = "flotilla/policy"

Lifespan = TypeVar("Lifespan")
Function = TypeVar("Function", bound=Callable[..., Any])


class FleetServer(FastMCP[Lifespan], Generic[Lifespan]):
    """A FastMCP server that takes its name, labels and annotations from its manifest.

    Raises ManifestError when the folder of that name has no sound manifest.
    """

    def __init__(
        self,
        manifest: str | Manifest,
        *,
        instructions: str,
        lifespan: Callable[[FastMCP[Lifespan]], AbstractAsyncContextManager[Lifespan]]
        | None = None,
    ) -> None:
        self.manifest = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
        self._input_schemas: dict[str, dict[str, Any]] = {}
        super().__init__(
            self.manifest.name,
            instructions=instructions,
            version=self.manifest.version or fleet_version(),
            lifespan=lifespan,
            middleware=[_CallBorder(self._input_schemas)],
            mask_error_details=True,
            # Done once in `fleet_tool`: per listing it is a quarter of the CPU.
            dereference_schemas=False,
            on_duplicate="error",
            cache_ttl=LIST_TTL_S,
            cache_scope="private",
        )
        # The SDK checks `Mcp-Param-*` headers against the schema before each call. Without this
        # look-up fastmcp 4.1.2 lists all tools for it: 6.9 ms instead of 0.6 ms with 100 tools.
        self._mcp_server.get_tool_input_schema = self._input_schema

    def fleet_tool(self, function: Function) -> Function:
        """Registers `function` as the tool of its name and returns it unchanged.

        Raises ManifestError when the manifest has no such tool, TypeError when the function
        lacks a docstring or does not return an object.
        """
        name = function.__name__
        if name not in self.manifest.tools:
            raise ManifestError(f"{self.name}: tool {name!r} is missing in manifest.toml")
        description = inspect.getdoc(function)
        if not description:
            raise TypeError(f"{self.name}: tool {name!r} needs a docstring: the model reads it")
        reporting = reported_to_model(function)
        # For a docstring fastmcp would load a parser of 4 MB; ours is the description as it is.
        reporting.__doc__ = None
        tool = Tool.from_function(
            reporting,
            name=name,
            title=self.manifest.title_of(name),
            annotations=self.manifest.tools[name].annotations,
            description=description,
            meta={POLICY_META: self.manifest.tools[name].policy},
        )
        if tool.output_schema is None or "x-fastmcp-wrap-result" in tool.output_schema:
            raise TypeError(f"{self.name}: tool {name!r} must return a model, not a bare value")
        tool.parameters = inlined(tool.parameters)
        tool.output_schema = inlined(tool.output_schema)
        self._input_schemas[name] = tool.parameters
        self.add_tool(tool)
        return function

    def undo_with(self, **arguments: Any) -> None:
        """Says, from within a tool, what the tool that undoes it needs to be called with.

        Only for what is neither in the result nor in the arguments under the same name. Raises
        RuntimeError outside a call of a tool that writes.
        """
        choose_undo_arguments(arguments)

    @property
    def lifespan_value(self) -> Lifespan:
        """What the lifespan yielded, for tools. Raises RuntimeError while nothing is served."""
        if self._lifespan_result is None:
            raise RuntimeError(f"{self.name} is not running: its lifespan has not begun")
        return self._lifespan_result

    def _input_schema(self, tool: str) -> Mapping[str, Any] | None:
        return self._input_schemas.get(tool)


class _CallBorder(Middleware):
    """Rewords bad arguments and refuses results over the ceiling."""

    def __init__(self, input_schemas: Mapping[str, dict[str, Any]]) -> None:
        self._input_schemas = input_schemas

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        tool = context.message.name
        try:
            result = await call_next(context)
            check_result_size(result)
        except ArgumentsError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            known = list(self._input_schemas.get(tool, {}).get("properties", {}))
            raise ToolError(argument_errors(tool, known, error.__cause__)) from error
        except TooLarge as error:
            raise ToolError(str(error)) from error
        return result


def fleet_version() -> str:
    """The version of the installed distribution; a bare checkout has none."""
    try:
        return version("flotilla")
    except PackageNotFoundError:
        return "0+checkout"
