"""Every error a server raises on purpose, and the one place that turns them into tool errors.

UpstreamError          the call could not be done; the text is one sentence for the model
├── InvalidInput       the arguments cannot be used: change them
├── NotFound           no such thing: look again for its name or id
├── NotAllowed         the owner has to act: grant, or change a right
│   └── SignInRequired the owner has to sign in, or to permit more; the same call goes on then
├── Conflict           it was changed meanwhile, or exists already: look again, then decide
├── TooLarge           the answer or the input is over a limit: ask for less
└── Unavailable        the upstream is away, slow or throttling: later; see retry_after_s
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal, ParamSpec, TypeVar, cast

from fastmcp.exceptions import ToolError
from pydantic import ValidationError

MAX_REPORTED_ARGUMENTS = 5
MAX_SHOWN_VALUE_CHARS = 60

P = ParamSpec("P")
R = TypeVar("R")


class UpstreamError(Exception):
    """Base of all deliberate errors; `str(error)` is shown to the model as it is."""


class InvalidInput(UpstreamError):
    """The arguments cannot be used; the message names the argument and the remedy."""


class NotFound(UpstreamError):
    """The upstream has no such thing; the message names what was asked for."""


class NotAllowed(UpstreamError):
    """Only the owner can mend this; the message says what to do and where."""


class SignInRequired(NotAllowed):
    """A sign-in is missing, has ended, or permits too little. Nothing was done."""

    def __init__(
        self,
        message: str,
        *,
        reason: Literal["no_account", "ended", "scope"],
        capability: str,
        account: str | None = None,
    ) -> None:
        super().__init__(message)
        self.reason: Literal["no_account", "ended", "scope"] = reason
        self.capability = capability
        self.account = account
        """The account that has to sign in again; None for any."""


class Conflict(UpstreamError):
    """The thing was changed by somebody else, or is there already; nothing was overwritten."""


class TooLarge(UpstreamError):
    """Something is over a limit; the message names the limit and how to ask for less."""


class Unavailable(UpstreamError):
    """The upstream cannot answer now."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        message = super().__str__()
        if self.retry_after_s is None:
            return message
        return f"{message} Try again in {self.retry_after_s:.0f} s."


def reported_to_model(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, whose UpstreamErrors reach the model; FastMCP masks all others."""
    if not inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except UpstreamError as error:
                raise ToolError(str(error)) from error
            except ExceptionGroup as group:
                if (error := deliberate_in(group)) is None:
                    raise
                raise ToolError(str(error)) from error

        return call
    awaitable = cast("Callable[P, Awaitable[Any]]", function)

    @functools.wraps(function)
    async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return await awaitable(*args, **kwargs)
        except UpstreamError as error:
            raise ToolError(str(error)) from error
        except ExceptionGroup as group:
            if (error := deliberate_in(group)) is None:
                raise
            raise ToolError(str(error)) from error

    return cast("Callable[P, R]", call_async)


def deliberate_in(group: ExceptionGroup[Exception]) -> UpstreamError | None:
    """What to tell of tasks that failed together; None when one of them broke otherwise.

    A missing sign-in comes first: it is the one that can be mended.
    """
    deliberate, others = group.split(UpstreamError)
    if deliberate is None or others is not None:
        return None
    errors = list(_leaves(deliberate))
    return next((error for error in errors if isinstance(error, SignInRequired)), errors[0])


def _leaves(group: ExceptionGroup[UpstreamError]) -> Iterator[UpstreamError]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def argument_errors(tool: str, known: list[str], error: ValidationError) -> str:
    """What is wrong with a call's arguments, in words a model can act on."""
    details = error.errors(include_url=False, include_context=False)
    lines = [_argument_error(known, detail) for detail in details[:MAX_REPORTED_ARGUMENTS]]
    if len(details) > MAX_REPORTED_ARGUMENTS:
        lines.append(f"and {len(details) - MAX_REPORTED_ARGUMENTS} more")
    return f"Invalid arguments for {tool}: {'; '.join(lines)}."


def _argument_error(known: list[str], detail: Any) -> str:
    field = ".".join(str(part) for part in detail["loc"]) or "arguments"
    match detail["type"]:
        case "missing_argument" | "missing_keyword_only_argument" | "missing":
            return f"{field} is required"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{field} is not an argument (there are: {', '.join(known) or 'none'})"
        case _:
            message = str(detail["msg"]).removeprefix("Value error, ")
            value = repr(detail["input"])
            if len(value) > MAX_SHOWN_VALUE_CHARS:
                value = f"{value[:MAX_SHOWN_VALUE_CHARS]}..."
            return f"{field}: {message[:1].lower()}{message[1:]}, not {value}"
