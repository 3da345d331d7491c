"""The files of a server's tools, which take and return an `attachment_id`, never bytes."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import cached_property
from pathlib import Path

import httpx2
from fastmcp.server.dependencies import get_http_request

from servers.kit.errors import InvalidInput, TooLarge, Unavailable
from servers.kit.files import links, local, remote
from servers.kit.files.result_links import note_saved
from servers.kit.files.stored import StoredFile, clean_mime, clean_name
from servers.kit.gate.grants import grant_key
from servers.kit.orchestrator import Orchestrator
from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.token import TokenError

__all__ = ["FileStore", "StoredFile"]

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 256 * 1024 * 1024
_PIECE_BYTES = 256 * 1024


class FileStore:
    """Keeps files with the orchestrator, else in a folder of this server for 7 days.

    A server that has a token of an orchestrator keeps them there, or not at all: in another place
    nobody would find them later. The id tells where a file is. Nothing is opened before the first
    use.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._settings: tuple[KitSettings, SystemdSettings] | None = None

    def use_settings(self, settings: KitSettings, systemd: SystemdSettings) -> None:
        """Says where state is kept. Without it, the environment says so at the first use."""
        self._settings = (settings, systemd)

    async def save(
        self, name: str, chunks: AsyncIterator[bytes] | bytes, *, mime: str | None = None
    ) -> StoredFile:
        """Keeps a file; the result of the call that runs gets a link to it.

        `mime` follows from the suffix of the name when it is not given; an orchestrator finds its
        own in the bytes. When this raises, nothing is kept: TooLarge over 256 MiB or what the
        orchestrator takes, other UpstreamErrors, and whatever `chunks` raises.
        """
        cleaned = clean_name(name)
        is_remote = self._orchestrator.token is not None
        place = self._remote if is_remote else self._local
        async with aclosing(_limited(_pieces(chunks))) as pieces:
            stored = await place.save(cleaned, clean_mime(mime, cleaned), pieces)
        note_saved(stored)
        return stored

    async def info(self, attachment_id: str) -> StoredFile:
        """What is known of a file. Raises NotFound, InvalidInput and other UpstreamErrors."""
        if self._is_remote(attachment_id):
            return await self._remote.find(attachment_id)
        return (await self._local.find(attachment_id))[0]

    def open(self, attachment_id: str, *, start: int = 0) -> AsyncGenerator[bytes]:
        """The bytes of a file from `start` on, in pieces; at most 256 MiB.

        Raises NotFound and other UpstreamErrors, in the middle too.
        """
        if start < 0:
            raise InvalidInput(f"start is {start}: use 0 or more.")
        place = self._remote if self._is_remote(attachment_id) else self._local
        return _limited(place.read(attachment_id, start))

    async def own(self, attachment_id: str) -> tuple[StoredFile, Path]:
        """A file that this server keeps itself, and where. Raises NotFound."""
        return await self._local.find(attachment_id)

    def admits(self, method: str, path: str, query: bytes) -> bool:
        """Whether a request has a link of this server, which needs no token."""
        try:
            return links.is_good_link(method, path, query, self._link_key, time.time())
        except TokenError as error:
            logger.error("links_refused server=%s: %s", self._server, error)  # noqa: TRY400, the sentence says it
            return False

    def _is_remote(self, attachment_id: str) -> bool:
        if attachment_id.startswith(remote.PREFIX):
            return True
        if attachment_id.startswith(local.PREFIX):
            return False
        raise InvalidInput(
            f"There is no attachment_id {attachment_id[:60]!r}: they begin with {remote.PREFIX} or"
            f" {local.PREFIX}."
        )

    def _url_of(self, attachment_id: str, path: Path) -> str:
        """A link on the address under which the client that calls reaches this server."""
        try:
            request = get_http_request()
        except RuntimeError:
            return path.resolve().as_uri()  # Over stdio the client is a program on this machine.
        # Whoever could forge this header gets back what they said themselves.
        is_tls = request.headers.get("x-forwarded-proto") == "https"
        scheme = "https" if is_tls else request.url.scheme
        signed = links.signed_path(attachment_id, self._link_key, time.time())
        return f"{scheme}://{request.headers['host']}{signed}"

    @cached_property
    def _used_settings(self) -> tuple[KitSettings, SystemdSettings]:
        return self._settings or (KitSettings(), SystemdSettings())

    @cached_property
    def _link_key(self) -> bytes:
        return links.link_key(grant_key(self._server, *self._used_settings))

    @cached_property
    def _orchestrator(self) -> Orchestrator:
        return Orchestrator(self._server, self._used_settings[0])

    @cached_property
    def _remote(self) -> remote.OrchestratorFiles:
        return remote.OrchestratorFiles(self._orchestrator)

    @cached_property
    def _local(self) -> local.LocalFiles:
        folder = self._used_settings[0].data_dir / local.files_folder(self._server)
        return local.LocalFiles(folder, self._url_of)


async def _pieces(chunks: AsyncIterator[bytes] | bytes) -> AsyncGenerator[bytes]:
    """The same bytes, none of the pieces empty or long."""
    if isinstance(chunks, bytes):
        for piece in _cut(chunks):
            yield piece
        return
    try:
        async for chunk in chunks:
            for piece in _cut(chunk):
                yield piece
    except httpx2.HTTPError as error:
        raise Unavailable("The file did not arrive whole from where it comes from.") from error


def _cut(chunk: bytes) -> list[bytes]:
    return [chunk[at : at + _PIECE_BYTES] for at in range(0, len(chunk), _PIECE_BYTES)]


async def _limited(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    size_bytes = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > MAX_FILE_BYTES:
                raise TooLarge(f"The file is over the limit of {MAX_FILE_BYTES:,} bytes.")
            yield chunk
