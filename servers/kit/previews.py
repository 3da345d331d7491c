"""What a call would do, for the person who is to approve it: not ids, but what they stand for."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from fastmcp import FastMCP
from fastmcp.exceptions import ValidationError as ArgumentsError
from fastmcp.tools import Tool
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic import ValidationError as ModelError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.kit.accounts.border import SignInBorder
from servers.kit.errors import (
    InvalidInput,
    SignInRequired,
    Unavailable,
    UpstreamError,
    argument_errors,
    deliberate_in,
)
from servers.kit.gate.current import acting_for
from servers.kit.gate.wording import one_line, visible

PREVIEWS_PATH: Final = "/previews"
MAX_LINES = 20
MAX_NAME_CHARS = 80
MAX_VALUE_CHARS = 300
MAX_TEXT_CHARS = 2_000
LIMIT_S = 5.0
"""The owner, or the client that asks them, waits meanwhile."""
_ELLIPSIS = "..."

PreviewFunction = Callable[..., Awaitable["Preview"]]


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[: max_chars - len(_ELLIPSIS)] + _ELLIPSIS


def _line(max_chars: int) -> AfterValidator:
    # Cut first: nobody needs all of a text of megabytes made visible.
    return AfterValidator(
        lambda text: _cut(visible(" ".join(text[: 4 * max_chars].split())), max_chars)
    )


def _shown(text: str) -> str:
    start = text[: MAX_TEXT_CHARS + 1]
    return _cut("\n".join(visible(line) for line in start.splitlines()), MAX_TEXT_CHARS)


def _bounded(lines: "list[PreviewLine]") -> "list[PreviewLine]":
    if len(lines) <= MAX_LINES:
        return lines
    left_out = len(lines) - MAX_LINES + 1
    return [*lines[: MAX_LINES - 1], PreviewLine(name="And", value=f"{left_out} more")]


class PreviewLine(BaseModel):
    """One fact, as `To: bo@example.org`; cut and cleaned of what cannot be seen."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, _line(MAX_NAME_CHARS)]
    value: Annotated[str, _line(MAX_VALUE_CHARS)]


class Preview(BaseModel):
    """What would be done; of more lines than 20 the rest is counted in the last."""

    model_config = ConfigDict(frozen=True)

    lines: Annotated[list[PreviewLine], AfterValidator(_bounded)] = Field(
        default_factory=list[PreviewLine]
    )
    text: Annotated[str, AfterValidator(_shown)] | None = None
    """The beginning of what is sent or written: 2,000 characters at most."""


class Previews:
    """The tools of a server that can tell beforehand what a call would do."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def add_check(self, name: str, check: Tool) -> None:
        """Without a function, a preview of the tool of that name only says for whom a call is.

        `check` takes the arguments of the tool and does nothing.
        """
        self._tools[name] = check

    def add(self, name: str, function: PreviewFunction) -> None:
        """`function` takes the arguments of the tool of that name, and changes nothing."""

        @functools.wraps(function)
        async def preview(*args: Any, **kwargs: Any) -> Preview:
            try:
                return await function(*args, **kwargs)
            except ExceptionGroup as group:
                if (error := deliberate_in(group)) is None:
                    raise
                raise error from group

        # For a docstring fastmcp would load a parser of 4 MB.
        preview.__doc__ = None
        self._tools[name] = Tool.from_function(preview, name=name)

    def arguments_of(self, tool: str) -> frozenset[str]:
        return frozenset(self._tools[tool].parameters.get("properties", {}))

    def has(self, tool: str) -> bool:
        return tool in self._tools

    async def preview(self, tool: str, arguments: Mapping[str, Any]) -> Preview:
        """What this call would do.

        Raises KeyError for a tool without previews, InvalidInput for arguments that it does not
        take, Unavailable after 5 s, and what the tool itself would raise.
        """
        told = self._tools[tool]
        try:
            async with asyncio.timeout(LIMIT_S):
                result = await told.run(dict(arguments))
        except TimeoutError as error:
            raise Unavailable("What it would do could not be found out in time.") from error
        except ArgumentsError as error:
            if not isinstance(error.__cause__, ModelError):
                raise
            known = sorted(self.arguments_of(tool))
            raise InvalidInput(argument_errors(tool, known, error.__cause__)) from error
        return Preview.model_validate(result.structured_content or {})

    async def told(self, tool: str, arguments: Mapping[str, Any]) -> str | None:
        """The same as lines for a question to a person; None for a tool without previews.

        While it cannot be found out, the line says why. Raises what the tool itself would raise:
        nobody should be asked about a call that cannot be made.
        """
        if not self.has(tool):
            return None
        try:
            preview = await self.preview(tool, arguments)
        except Unavailable as error:
            return f"It is not known: {one_line(str(error), MAX_VALUE_CHARS)}"
        lines = [f"{line.name}: {line.value}" for line in preview.lines]
        # Each line behind a bar that no text can fake.
        lines += [f"  | {line}" for line in (preview.text or "").splitlines()]
        return "\n".join(lines) or None


def is_preview_path(path: str) -> bool:
    """Whether the route below is asked for."""
    return path.startswith(f"{PREVIEWS_PATH}/")


def add_preview_route(mcp: FastMCP[Any], previews: Previews, border: SignInBorder | None) -> None:
    """`POST /previews/TOOL` with `{"arguments": {...}}`; says for which account it would be, too.

    The account is looked at first: nobody should be asked about a call that cannot be made.
    """

    async def told(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        account = await border.account_of(tool, arguments) if border is not None else None
        with acting_for(account):
            preview = await previews.preview(tool, arguments)
        return {"account": account, **preview.model_dump(mode="json")}

    @mcp.custom_route(f"{PREVIEWS_PATH}/{{tool}}", methods=["POST"])
    async def read_preview(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        tool = request.path_params["tool"]
        if not previews.has(tool):
            return JSONResponse({"error": f"The tool {tool!r} has no previews."}, 404)
        try:
            asked = _Asked.model_validate_json(await request.body())
            return JSONResponse(await told(tool, asked.arguments))
        except ModelError:
            return JSONResponse({"error": 'The body has to be {"arguments": {...}}.'}, 422)
        except InvalidInput as error:
            return JSONResponse({"error": str(error)}, 422)
        except SignInRequired as error:
            return JSONResponse({"error": _sign_in(error, mcp.name, border)}, 409)
        except UpstreamError as error:
            return JSONResponse(
                {"error": str(error)}, 502 if isinstance(error, Unavailable) else 409
            )


def _sign_in(
    needed: SignInRequired, server: str, border: SignInBorder | None
) -> dict[str, str | None]:
    return {
        "code": "sign_in_required",
        "message": str(needed),
        "server": server,
        "provider": border.provider if border is not None else None,
        "account": needed.account,
        "capability": needed.capability,
        "reason": needed.reason,
    }


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True)

    arguments: dict[str, Any]
