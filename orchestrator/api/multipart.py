"""Reads a multipart body part by part, as it comes: only what came last is in memory."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from orchestrator.errors import InvalidRequest, UnsupportedType

MAX_PARTS = 100
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4_096
MAX_FIELD_BYTES = 1_024
_MIME = b"multipart/form-data"


class MalformedBody(InvalidRequest):
    """What comes is not what multipart/form-data looks like; nothing more can be read of it."""

    code = "malformed_body"


@dataclass(frozen=True, slots=True)
class _End:
    is_last: bool


@dataclass(slots=True)
class Part:
    """One field or file of the body; read it before the next is asked for."""

    name: str
    file_name: str | None
    mime: str | None
    """As declared."""
    _body: "MultipartBody" = field(repr=False)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield what it holds. Raises MalformedBody."""
        while (chunk := await self._body.next_chunk()) is not None:
            yield chunk

    async def text(self) -> str:
        """Return what a short field holds. Raises InvalidRequest."""
        text = b""
        async for chunk in self.chunks():
            text += chunk
            if len(text) > MAX_FIELD_BYTES:
                raise InvalidRequest(f"{self.name}: is longer than {MAX_FIELD_BYTES} bytes.")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{self.name}: is not UTF-8 text.") from None


class MultipartBody:
    """The body of one request."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        """Raises UnsupportedType for another type of body, MalformedBody without a boundary."""
        mime, options = parse_options_header(content_type)
        if mime != _MIME:
            raise UnsupportedType("Send the files as multipart/form-data.")
        self._body = body
        self._events: deque[Part | bytes | _End] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._value = b""
        self._parts = 0
        self._is_in_part = False
        self._parser = self._new_parser(options.get(b"boundary", b""))

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Yield the parts; what nobody read of one is left out. Raises MalformedBody."""
        while isinstance(event := await self._next_event(), Part):
            self._is_in_part = True
            yield event
            while self._is_in_part:
                await self.next_chunk()

    async def next_chunk(self) -> bytes | None:
        """Return more of the part that is being read, None at its end."""
        if not self._is_in_part:
            return None
        event = await self._next_event()
        if isinstance(event, bytes):
            return event
        self._is_in_part = False
        return None

    async def _next_event(self) -> Part | bytes | _End:
        while not self._events:
            chunk = await anext(self._body, None)
            if chunk is None:
                raise MalformedBody("The body ends before its last part does.")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise MalformedBody(
                    f"The body is not valid multipart/form-data: {error}"
                ) from error
        return self._events.popleft()

    def _new_parser(self, boundary: bytes) -> MultipartParser:
        if not boundary:
            raise MalformedBody("The Content-Type names no boundary.")
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": lambda: self._events.append(_End(is_last=False)),
                    "on_end": lambda: self._events.append(_End(is_last=True)),
                },
                max_header_count=MAX_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise MalformedBody(f"The boundary cannot be used: {error}") from error

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedBody(f"The body has more than {MAX_PARTS} parts.")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        kind, options = parse_options_header(disposition.decode("latin-1"))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise MalformedBody("A part has no Content-Disposition with a name.")
        file_name = options.get(b"filename")
        if file_name is not None:
            file_name = file_name.replace(b"%22", b'"')  # Browsers write quotation marks so.
        mime = self._headers.get(b"content-type")
        self._events.append(
            Part(
                name=_text(name),
                file_name=None if file_name is None else _text(file_name),
                mime=None if mime is None else _text(mime),
                _body=self,
            )
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(bytes(data[start:end]))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
