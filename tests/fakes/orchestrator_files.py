"""Uploads and attachments of the strict orchestrator; multipart is read as it comes."""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from python_multipart import MultipartParser
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

PIECE_BYTES = 64 * 1024
KNOWN_TYPES = ("text/", "image/", "application/octet-stream", "application/pdf")


@dataclass
class KeptFile:
    """What was uploaded; of large content only the first piece, which is repeated."""

    attachment_id: str
    name: str
    mime: str
    size_bytes: int
    sha256: str
    content: bytes

    def shown(self, url: str) -> dict[str, Any]:
        path = f"/api/attachments/{self.attachment_id}/content"
        return {
            "id": self.attachment_id, "name": self.name, "mime": self.mime,
            "size_bytes": self.size_bytes, "session_id": None, "source": "server",
            "created_at": "2026-11-20T10:30:00.000Z", "last_used_at": "2026-11-20T10:30:00.000Z",
            "expires_at": None, "url": f"{path}?expires=1&disposition=inline&signature=s",
            "delivery_url": f"{url}{path}?expires=1&disposition=attachment&signature=s",
            "url_expires_at": "2026-11-20T11:30:00.000Z",
        }  # fmt: skip


@dataclass
class FileShelf:
    """The attachments of one fake orchestrator."""

    kept: dict[str, KeptFile] = field(default_factory=dict[str, KeptFile])
    max_bytes: int = 25 * 1024 * 1024
    keeps_content: bool = True
    broken_off: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once an upload ended before it was whole."""
    cut_at: int | None = None
    """Bytes after which an answer breaks off."""

    async def upload(self, request: Request, url: str) -> Response:
        content_type, options = parse_options_header(request.headers.get("content-type"))
        if content_type != b"multipart/form-data" or b"boundary" not in options:
            return problem(415, "unsupported_media_type", "This is not multipart/form-data.")
        reader = _Reader(options[b"boundary"], self.keeps_content)
        try:
            async for chunk in request.stream():
                reader.parser.write(chunk)
                if reader.size_bytes > self.max_bytes:
                    return problem(413, "too_large", f"Files have at most {self.max_bytes} bytes.")
        except ClientDisconnect:
            self.broken_off.set()
            raise
        if not reader.is_complete or reader.parts != 1 or reader.size_bytes == 0:
            return problem(400, "invalid_request", "The upload is empty or cannot be read.")
        if not reader.mime.startswith(KNOWN_TYPES):
            return problem(415, "unsupported_media_type", f"{reader.mime} is not kept.")
        kept = reader.kept(f"att_{len(self.kept):026x}")
        self.kept[kept.attachment_id] = kept
        return JSONResponse({"items": [kept.shown(url)]}, 201)

    def read(self, attachment_id: str, url: str) -> Response:
        kept = self.kept.get(attachment_id)
        if kept is None:
            return problem(404, "not_found", "There is no such attachment.")
        return JSONResponse(kept.shown(url))

    def read_content(self, attachment_id: str, headers: Mapping[str, str]) -> Response:
        kept = self.kept.get(attachment_id)
        if kept is None:
            return problem(404, "not_found", "There is no such attachment.")
        asked = headers.get("range")
        if asked is None:
            start = 0
        else:
            match = re.fullmatch(r"bytes=([0-9]+)-", asked)
            assert match is not None, asked
            start = int(match[1])
        size = kept.size_bytes
        if asked is not None and start >= size:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        sent = {"Content-Length": str(size - start), "X-Content-Type-Options": "nosniff"}
        if asked is not None:
            sent["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        return StreamingResponse(
            self._bytes(kept, start), 200 if asked is None else 206, sent, media_type=kept.mime
        )

    async def _bytes(self, kept: KeptFile, start: int) -> Any:
        sent = 0
        while start + sent < kept.size_bytes:
            if self.cut_at is not None and sent >= self.cut_at:
                raise ConnectionAbortedError("cut off")
            end = min(start + sent + PIECE_BYTES, kept.size_bytes)
            at = (start + sent) % len(kept.content)
            piece = kept.content[at : at + end - start - sent]
            yield piece
            sent += len(piece)


class _Reader:
    """What python-multipart finds in one upload."""

    def __init__(self, boundary: bytes, keeps_content: bool) -> None:
        self.parts = 0
        self.size_bytes = 0
        self.name = self.mime = ""
        self.is_complete = False
        self._keeps_content = keeps_content
        self._content = bytearray()
        self._hash = hashlib.sha256()
        self._header = self._value = b""
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_end": self._end,
            },
        )

    def kept(self, attachment_id: str) -> KeptFile:
        content = bytes(self._content if self._keeps_content else self._content[:PIECE_BYTES])
        return KeptFile(
            attachment_id, self.name, self.mime, self.size_bytes, self._hash.hexdigest(), content
        )

    def _begin(self) -> None:
        self.parts += 1

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.size_bytes += end - start
        self._hash.update(data[start:end])
        if self._keeps_content or len(self._content) < PIECE_BYTES:
            self._content += data[start:end]

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        header, value = self._header.lower(), self._value
        self._header = self._value = b""
        if header == b"content-type":
            self.mime = value.decode("ascii")
        if header == b"content-disposition":
            kind, options = parse_options_header(value)
            assert kind == b"form-data", value
            assert options[b"name"] == b"file", value
            self.name = unquote(options[b"filename"].decode())

    def _end(self) -> None:
        self.is_complete = True


def problem(status: int, code: str, detail: str) -> Response:
    body = {
        "type": "about:blank", "title": code, "status": status, "code": code, "detail": detail
    }  # fmt: skip
    return JSONResponse(body, status, media_type="application/problem+json")
