"""Puts links to the files that a call saved into its result."""

from contextvars import ContextVar

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.types import CallToolRequestParams

from servers.kit.files.stored import StoredFile

# A link takes 0.4 kB of the 32 kB a result may have.
MAX_LINKS = 20

_saved: ContextVar[list[StoredFile] | None] = ContextVar("files_saved_by_this_call", default=None)


def note_saved(stored: StoredFile) -> None:
    """The result of the call that runs here will have a link to this file."""
    saved = _saved.get()
    if saved is not None:
        saved.append(stored)


class ResultLinks(Middleware):
    """Innermost, so that what the journal keeps of a result has its links too."""

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        # An object that is shared, not a value that is set: a tool's thread has a copy.
        saved: list[StoredFile] = []
        _saved.set(saved)
        result = await call_next(context)
        if saved and not result.is_error:
            result.content = [*result.content, *(file.link for file in saved[:MAX_LINKS])]
        return result
