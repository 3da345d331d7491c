"""The HTTP route of files that a server keeps itself; the guard has checked link or token."""

from typing import Any

from fastmcp import FastMCP
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from servers.kit.errors import UpstreamError
from servers.kit.files import FileStore
from servers.kit.files.links import FILES_PATH

# A browser that opens a link saves the file; it shows and runs nothing of it.
_HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_file_route(mcp: FastMCP[Any], files: FileStore) -> None:
    """`GET` and `HEAD /files/ID`, with ranges."""

    @mcp.custom_route(f"{FILES_PATH}/{{attachment_id}}", methods=["GET"])
    async def read_file(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        try:
            stored, path = await files.own(request.path_params["attachment_id"])
        except UpstreamError as error:
            return JSONResponse({"error": str(error)}, 404, _HEADERS)
        return FileResponse(path, headers=_HEADERS, media_type=stored.mime, filename=stored.name)
