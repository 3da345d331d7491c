"""The MCP server every folder of the fleet builds on."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Generic, TypeVar

from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.exceptions import ValidationError as ArgumentsError
from fastmcp.server.context import Context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult
from mcp.types import CallToolRequestParams, ListToolsRequest
from pydantic import ValidationError

from servers.kit.accounts import Accounts
from servers.kit.accounts.border import SignInBorder
from servers.kit.accounts.providers import provider_of
from servers.kit.accounts.routes import add_account_routes
from servers.kit.clients import caller_of
from servers.kit.errors import InvalidInput, TooLarge, argument_errors, reported_to_model
from servers.kit.files import FileStore
from servers.kit.files.result_links import ResultLinks
from servers.kit.files.routes import add_file_route
from servers.kit.gate.gate import Gate
from servers.kit.gate.refusals import read_only_token
from servers.kit.gate.routes import add_routes
from servers.kit.gate.undo import choose_undo_arguments
from servers.kit.manifest import Manifest, ManifestError, load_manifest
from servers.kit.output import check_arguments, check_result
from servers.kit.previews import PreviewFunction, Previews, add_preview_route
from servers.kit.schemas import inlined
from servers.kit.settings import KitSettings, SystemdSettings

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
        self._policies: dict[str, dict[str, Any]] = {}
        self._previews = Previews()
        self.files = FileStore(self.manifest.name)
        """Where tools keep and find files by their `attachment_id`."""
        self._accounts: Accounts | None = None
        self._sign_in_border: SignInBorder | None = None
        if (sign_in := self.manifest.sign_in) is not None:
            provider = partial(provider_of, sign_in.provider)
            self._accounts = Accounts(self.manifest.name, sign_in, provider)
            self._sign_in_border = SignInBorder(self.manifest, self._accounts)
        border = self._sign_in_border
        self._gate = Gate(self.manifest, self._previews, border.account_of if border else None)
        self._own_lifespan = lifespan
        self.is_read_only = False
        """Whether nobody may use more than the tools that read, whatever their token."""
        super().__init__(
            self.manifest.name,
            instructions=instructions,
            version=self.manifest.version or fleet_version(),
            lifespan=self._whole_lifespan,
            middleware=[
                _CallBorder(self, self._input_schemas),
                *([border] if border is not None else []),
                self._gate,
                ResultLinks(),
            ],
            request_state_security=self._gate.state_security,
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
        add_routes(self, self._gate)
        add_file_route(self, self.files)
        add_preview_route(self, self._previews, border)
        if self._accounts is not None:
            add_account_routes(self, self._accounts)

    def use_settings(self, settings: KitSettings, systemd: SystemdSettings) -> None:
        """Says whose server this is and where its state is kept, before it is served.

        Without it, the environment says so when its lifespan begins. Raises TokenError when the
        key of the grants cannot be used.
        """
        self._gate.use_settings(settings, systemd)
        self.files.use_settings(settings, systemd)
        if self._accounts is not None:
            self._accounts.use_settings(settings, systemd)
        if self._sign_in_border is not None:
            self._sign_in_border.use_settings(settings)

    @property
    def accounts(self) -> Accounts:
        """Who signed in, and tokens. Raises RuntimeError without `sign_in` in the manifest."""
        if self._accounts is None:
            raise RuntimeError(f"{self.name} has no accounts: its manifest has no [sign_in]")
        return self._accounts

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
        policy = self._policies[name] = self.manifest.tools[name].policy
        reporting = reported_to_model(function)
        # For a docstring fastmcp would load a parser of 4 MB; ours is the description as it is.
        reporting.__doc__ = None
        tool = Tool.from_function(
            reporting,
            name=name,
            title=self.manifest.title_of(name),
            annotations=self.manifest.tools[name].annotations,
            description=description,
            meta={POLICY_META: policy},
        )
        if tool.output_schema is None or "x-fastmcp-wrap-result" in tool.output_schema:
            raise TypeError(f"{self.name}: tool {name!r} must return a model, not a bare value")
        tool.parameters = inlined(tool.parameters)
        tool.output_schema = inlined(tool.output_schema)
        self._input_schemas[name] = tool.parameters
        check = Tool.from_function(_without_effect(function), name=name)
        self._gate.add_tool(tool, check)
        if self.manifest.tools[name].is_gated and self.manifest.tools[name].capability is not None:
            # Whoever asks the owner has to know for which account they would approve it.
            self._previews.add_check(name, check)
            policy["preview"] = True
        self.add_tool(tool)
        return function

    def preview_of(self, tool: str) -> Callable[[PreviewFunction], PreviewFunction]:
        """Registers what tells, before the owner is asked, what a call of `tool` would do.

        The function takes the same arguments, changes nothing and answers within 5 s. Raises
        TypeError when the tool is not there yet, or takes other arguments.
        """

        def register(function: PreviewFunction) -> PreviewFunction:
            if tool not in self._input_schemas:
                raise TypeError(f"{self.name}: {tool!r} is no tool yet, so it has no previews")
            self._previews.add(tool, function)
            if self._previews.arguments_of(tool) != self._input_schemas[tool]["properties"].keys():
                raise TypeError(f"{self.name}: the preview of {tool!r} takes other arguments")
            self._policies[tool]["preview"] = True
            return function

        return register

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

    @asynccontextmanager
    async def _whole_lifespan(self, server: FastMCP[Lifespan]) -> AsyncGenerator[Lifespan | Any]:
        """The server's own lifespan, within that of the gate: what runs ends before it does."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._gate.opened())
            if self._accounts is not None:
                await stack.enter_async_context(self._accounts.opened())
            if self._sign_in_border is not None:
                await stack.enter_async_context(self._sign_in_border.opened())
            value: Lifespan | dict[str, Any] = {}  # as FastMCP has it by default
            if self._own_lifespan is not None:
                value = await stack.enter_async_context(self._own_lifespan(server))
            await stack.enter_async_context(self._gate.letting_in())
            yield value

    def _input_schema(self, tool: str) -> Mapping[str, Any] | None:
        return self._input_schemas.get(tool)


class _CallBorder(Middleware):
    """Rewords bad arguments, refuses results over the ceiling, and bytes of files either way.

    Whoever may only read sees and calls no other tools.
    """

    def __init__(
        self, server: FleetServer[Any], input_schemas: Mapping[str, dict[str, Any]]
    ) -> None:
        self._server = server
        self._input_schemas = input_schemas
        self._writing = frozenset(
            name for name, tool in server.manifest.tools.items() if not tool.is_read_only
        )

    async def on_list_tools(
        self,
        context: MiddlewareContext[ListToolsRequest],
        call_next: CallNext[ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        tools = await call_next(context)
        if not self._may_only_read(context.fastmcp_context):
            return tools
        return [tool for tool in tools if tool.name not in self._writing]

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        if context.message.name in self._writing and self._may_only_read(context.fastmcp_context):
            return ToolResult.from_mcp_result(read_only_token(context.message.name))
        tool = context.message.name
        try:
            check_arguments(context.message.arguments)
            result = await call_next(context)
            check_result(result)
        except ArgumentsError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            known = list(self._input_schemas.get(tool, {}).get("properties", {}))
            raise ToolError(argument_errors(tool, known, error.__cause__)) from error
        except (InvalidInput, TooLarge) as error:
            raise ToolError(str(error)) from error
        return result

    def _may_only_read(self, ctx: Context | None) -> bool:
        caller = caller_of(ctx)
        return self._server.is_read_only or (caller is not None and caller.is_read_only)


def _without_effect(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes the arguments of `function` and does nothing."""

    async def accept(**_: Any) -> None:
        pass

    functools.update_wrapper(accept, function)
    accept.__doc__ = None
    accept.__annotations__ = {**accept.__annotations__, "return": None}
    accept.__signature__ = inspect.signature(function).replace(return_annotation=None)  # pyright: ignore[reportFunctionMemberAccess]  # PEP 362
    return accept


def fleet_version() -> str:
    """The version of the installed distribution; a bare checkout has none."""
    try:
        return version("flotilla")
    except PackageNotFoundError:
        return "0+checkout"
