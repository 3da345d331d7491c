"""The built front end: one page for every path of the app, and its files."""

import mimetypes
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

BACKEND_ROOTS = ("api", "health", "metrics", "oauth")
OCTETS = "application/octet-stream"
IMMUTABLE = "public, max-age=31536000, immutable"
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Flotilla</title>
<h1>The front end is not built</h1>
<p>Run <code>make run</code> in the checkout: it builds the front end and starts Flotilla.</p>
"""


class Frontend:
    """ASGI middleware that answers GET and HEAD of everything that is not the backend's.

    Only files that a listing of the folder gave are served, so no path can lead out of it. The
    folder is listed anew when `index.html` changes.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder
        self._files: Mapping[str, Path] = {}
        self._listed_at_ns = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file or the page, or hand the request on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"].removeprefix("/")
        answer = None
        if path.partition("/")[0] not in BACKEND_ROOTS:
            answer = self._answer(path, Headers(scope=scope))
        await (answer or self._app)(scope, receive, send)

    def _answer(self, path: str, headers: Headers) -> Response | None:
        self._list()
        if not self._files:
            return HTMLResponse(NOT_BUILT, 503, {"cache-control": "no-store"})
        if path in self._files:
            return self._file(path, headers)
        # A name with a dot is a file that is not there; everything else is a place in the app.
        return None if "." in path.rpartition("/")[2] else self._file("index.html", headers)

    def _list(self) -> None:
        try:
            changed_at_ns = (self._folder / "index.html").stat().st_mtime_ns
        except OSError:
            self._files, self._listed_at_ns = {}, -1
            return
        if changed_at_ns != self._listed_at_ns:
            self._listed_at_ns = changed_at_ns
            self._files = {
                file.relative_to(self._folder).as_posix(): file
                for file in self._folder.rglob("*")
                if file.is_file() and not file.is_symlink()
            }

    def _file(self, path: str, headers: Headers) -> Response:
        answer_headers = {
            "cache-control": IMMUTABLE if path.startswith("assets/") else "no-cache",
            "vary": "accept-encoding",
        }
        media_type = MEDIA_TYPES.get(Path(path).suffix) or mimetypes.guess_type(path)[0]
        accepted = headers.get("accept-encoding", "")
        for encoding, suffix in ENCODINGS:
            if encoding in accepted and path + suffix in self._files:
                answer_headers["content-encoding"] = encoding
                path += suffix
                break
        return FileResponse(
            self._files[path], headers=answer_headers, media_type=media_type or OCTETS
        )
