"""Files kept by the orchestrator that the server belongs to."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from servers.kit.errors import (
    InvalidInput,
    NotAllowed,
    NotFound,
    TooLarge,
    Unavailable,
    UpstreamError,
)
from servers.kit.files.stored import StoredFile
from servers.kit.orchestrator import Orchestrator

PREFIX = "att_"
# Each is for one step, not for the whole: a large file takes its time. Reading is longest, since
# the orchestrator answers an upload once all of it is safe.
TIMEOUT = httpx2.Timeout(connect=2, read=60, write=30, pool=2)
MAX_ANSWER_BYTES = 64 * 1024
MAX_DETAIL_CHARS = 300
_UPLOADS = "/api/uploads"
_ATTACHMENTS = "/api/attachments"


class _Attachment(BaseModel):
    """What the orchestrator says of a file; it has more fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=rf"^{PREFIX}[A-Za-z0-9]{{1,100}}$")
    name: str
    mime: str
    size_bytes: int = Field(ge=0)
    delivery_url: str


class _Uploaded(BaseModel):
    items: list[_Attachment] = Field(min_length=1, max_length=1)


class _Problem(BaseModel):
    detail: str


_Model = TypeVar("_Model", bound=BaseModel)


class OrchestratorFiles:
    """Speaks to `POST /api/uploads` and `GET /api/attachments/...`."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator

    async def save(self, name: str, mime: str, chunks: AsyncIterator[bytes]) -> StoredFile:
        """Raises UpstreamError: nothing is kept then. Raises what `chunks` raises too."""
        boundary = secrets.token_hex(16)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        body = _multipart(boundary, name, mime, chunks)
        async with self._ask("POST", _UPLOADS, headers=headers, content=body) as response:
            await _check(response, 201, f"The file {name!r} was not kept")
            return self._stored(_parsed(_Uploaded, await _answer(response)).items[0])

    async def find(self, attachment_id: str) -> StoredFile:
        """Raises NotFound and the other UpstreamErrors."""
        async with self._ask("GET", _path(attachment_id)) as response:
            await _check(response, 200, f"The file {attachment_id} cannot be used")
            return self._stored(_parsed(_Attachment, await _answer(response)))

    async def read(self, attachment_id: str, start: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` on. Raises UpstreamError, in the middle too."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        path = f"{_path(attachment_id)}/content"
        async with self._ask("GET", path, headers=headers) as response:
            if response.status_code == 416 and start == _size(response):
                return
            expected = 206 if start else 200
            await _check(response, expected, f"The file {attachment_id} cannot be read")
            async for chunk in response.aiter_raw():
                yield chunk

    @asynccontextmanager
    async def _ask(self, method: str, path: str, **options: Any) -> AsyncGenerator[httpx2.Response]:
        if (token := self._orchestrator.token) is None:
            raise NotAllowed(
                "This file is kept by an orchestrator, and this server belongs to none"
                f" ({self._orchestrator.token_path} is missing)."
            )
        try:
            async with (
                self._orchestrator.client(token, TIMEOUT) as http,
                http.stream(method, path, **options) as response,
            ):
                yield response
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise Unavailable(
                f"The orchestrator at {self._orchestrator.url} keeps this server's files, and it"
                " does not answer: start it and try again."
            ) from error
        except httpx2.TimeoutException as error:
            raise Unavailable("The orchestrator, which keeps the files, is too slow.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(
                "The connection to the orchestrator, which keeps the files, broke off."
            ) from error

    def _stored(self, found: _Attachment) -> StoredFile:
        return StoredFile(found.id, found.name, found.mime, found.size_bytes, found.delivery_url)


async def _multipart(
    boundary: str, name: str, mime: str, chunks: AsyncIterator[bytes]
) -> AsyncGenerator[bytes]:
    yield (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {mime}\r\n\r\n"
    ).encode()
    async for chunk in chunks:
        yield chunk
    yield f"\r\n--{boundary}--\r\n".encode()


async def _check(response: httpx2.Response, expected: int, what: str) -> None:
    """Raises the UpstreamError for any other status."""
    if response.status_code == expected:
        return
    said = _detail(await _answer(response))
    raise _error(response, f"{what}: {said}" if said else f"{what} ({response.status_code}).")


def _error(response: httpx2.Response, sentence: str) -> UpstreamError:
    match response.status_code:
        case 401:
            return NotAllowed(
                "The orchestrator does not take this server's token any more: restart the"
                " orchestrator, which makes a new one."
            )
        case 403:
            return NotAllowed(f"{sentence} This server's token is not for files.")
        case 404 | 410:
            return NotFound(sentence)
        case 413:
            return TooLarge(sentence)
        case 400 | 415 | 416 | 422:
            return InvalidInput(sentence)
        case 507:
            return Unavailable(f"{sentence} Make room on the disk of the orchestrator.")
        case _:
            return Unavailable(sentence, retry_after_s=_retry_after_s(response))


async def _answer(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise Unavailable("The orchestrator, which keeps the files, answered with too much.")
    return bytes(content)


def _parsed(model: type[_Model], content: bytes) -> _Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise Unavailable(
            "The orchestrator answered in a way that this server does not understand: update both."
        ) from error


def _detail(content: bytes) -> str:
    """What a problem document says, for people; one that cannot be read says nothing."""
    try:
        return _Problem.model_validate_json(content).detail[:MAX_DETAIL_CHARS]
    except ValidationError:
        return ""


def _size(response: httpx2.Response) -> int | None:
    """The size of the whole file, as an answer of 416 tells it."""
    size = response.headers.get("Content-Range", "").removeprefix("bytes */")
    return int(size) if size.isdecimal() else None


def _retry_after_s(response: httpx2.Response) -> float | None:
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() and len(seconds) < 6 else None


def _path(attachment_id: str) -> str:
    return f"{_ATTACHMENTS}/{quote(attachment_id, safe='')}"
