"""Takes files in and gives them out again.

A file comes in three steps: its row (`incoming`), its blob, its row again (`ready`). Whatever ends
between two of them leaves a row that the reaper follows to the blob.
"""

import asyncio
import hashlib
import logging
import mimetypes
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import timedelta
from pathlib import PurePath

from orchestrator.attachments.blobs import BlobStore
from orchestrator.attachments.names import clean_name
from orchestrator.attachments.pictures import picture_in
from orchestrator.attachments.reaper import Reaper
from orchestrator.attachments.signing import ContentSigner
from orchestrator.attachments.sniffing import HEAD_BYTES, INLINE_TYPES, name_for, sniff
from orchestrator.domain.attachments import (
    Attachment,
    AttachmentSource,
    Disposition,
    SignedAttachment,
)
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import now_rfc3339, to_rfc3339, utc_now
from orchestrator.errors import FlotillaError, StorageFull, TooLarge
from orchestrator.store import attachments
from orchestrator.store.database import Database

logger = logging.getLogger(__name__)

SIGNED_AT_ONCE = 8
USE_STEP = timedelta(hours=1)
"""A file that was used within this time is not marked as used again."""


class Attachments:
    """The files of all owners: rows in the database, bytes in a blob store."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        signer: ContentSigner,
        reaper: Reaper,
        *,
        max_size_bytes: int,
        url_life_s: int,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._signer = signer
        self._reaper = reaper
        self._url_life_s = url_life_s
        self.max_size_bytes = max_size_bytes

    async def save(
        self,
        owner_id: str,
        chunks: AsyncIterable[bytes],
        *,
        name: str,
        source: AttachmentSource,
        session_id: str | None = None,
        tool_call_id: str | None = None,
        declared_mime: str | None = None,
    ) -> Attachment:
        """Keep a file, never whole in memory. Only one kept whole is seen by anybody.

        `declared_mime` gives a name without an ending one; the type itself is found in the bytes.
        Raises InvalidRequest for an empty file, UnsupportedType, TooLarge, StorageFull, NotFound
        without such a session, BlobStoreUnavailable, BlobStoreRefused, and what `chunks` raises.
        """
        body = _Body(chunks, self.max_size_bytes)
        name = _with_ending(clean_name(name), declared_mime)
        mime = await body.mime(name)
        picture = picture_in(body.head)
        now = now_rfc3339()
        coming = Attachment(
            id=new_id("att"),
            name=clean_name(name_for(name, mime)),
            mime=mime,
            size_bytes=0,
            width=picture.width if picture else None,
            height=picture.height if picture else None,
            sha256="",
            session_id=session_id,
            source=source,
            tool_call_id=tool_call_id,
            created_at=now,
            last_used_at=now,
        )
        return await self._keep(owner_id, coming, body)

    async def get(self, owner_id: str, attachment_id: str) -> Attachment:
        """Return what is known of a file. Raises NotFound."""
        return await self._database.read(attachments.get, owner_id, attachment_id)

    async def owner_of(self, attachment_id: str) -> str:
        """Return whose file that is, for an address that was signed. Raises NotFound."""
        return await self._database.read(attachments.owner_of, attachment_id)

    async def open(self, owner_id: str, attachment_id: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a file. Raises NotFound, BlobStoreUnavailable."""
        attachment = await self.get(owner_id, attachment_id)
        async with aclosing(self.bytes_of(attachment)) as chunks:
            async for chunk in chunks:
                yield chunk

    def bytes_of(
        self, attachment: Attachment, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield its bytes from `start` up to, not including, `end`; raises as `BlobStore.read`."""
        return self._blobs.read(attachment.id, start=start, end=end)

    async def claim(self, owner_id: str, ids: Iterable[str], session_id: str) -> list[Attachment]:
        """Bind files to a session, as `store.attachments.claim`. Raises NotFound."""
        return await self._database.write(attachments.claim, owner_id, ids, session_id)

    async def use(self, owner_id: str, used: Iterable[Attachment]) -> None:
        """Count the retention of files that were shown anew; one write an hour is enough.

        A full disk is no reason not to show them.
        """
        since = to_rfc3339(utc_now() - USE_STEP)
        ids = [attachment.id for attachment in used if attachment.last_used_at < since]
        if not ids:
            return
        try:
            await self._database.write(attachments.touch, owner_id, ids)
        except StorageFull:
            logger.warning("attachments_not_touched reason=disk_full count=%d", len(ids))

    async def delete(self, owner_id: str, ids: Iterable[str]) -> None:
        """Delete files: nobody sees them from now on, the reaper takes the bytes away.

        Raises NotFound, and then deletes none of them.
        """
        await self._database.write(attachments.remove, owner_id, list(ids))
        self._reaper.wake()

    def were_deleted(self) -> None:
        """Take notice that another transaction deleted files."""
        self._reaper.wake()

    async def public_url(self, attachment: Attachment) -> str | None:
        """Return an address that everybody can reach, such as a model's provider, or None."""
        return await self._blobs.public_url(
            attachment.id, life_s=self._url_life_s, mime_type=attachment.mime
        )

    def expires_at(self, attachment: Attachment) -> str | None:
        """Return when it is deleted unless it is used again; None where it is kept."""
        return None if attachment.pinned else self._reaper.expires_at(attachment.last_used_at)

    async def all_signed(self, found: Iterable[Attachment]) -> list[SignedAttachment]:
        """Return all of them with fresh addresses, in their order; raises as `signed`.

        Some are signed at a time: where Google signs, each address is a request to it.
        """
        gate = asyncio.Semaphore(SIGNED_AT_ONCE)

        async def one(attachment: Attachment) -> SignedAttachment:
            async with gate:
                return await self.signed(attachment)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(attachment)) for attachment in found]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    async def signed(self, attachment: Attachment) -> SignedAttachment:
        """Return it with fresh addresses. Raises BlobStoreUnavailable, BlobStoreRefused."""
        life_s = self._url_life_s
        # Before the addresses are made, so that none ends before it says.
        url_expires_at = to_rfc3339(utc_now().replace(microsecond=0) + timedelta(seconds=life_s))
        disposition: Disposition = "inline" if attachment.mime in INLINE_TYPES else "attachment"
        delivery_url = await self._blobs.signed_url(
            attachment.id,
            life_s=life_s,
            disposition=disposition,
            file_name=attachment.name,
            mime_type=attachment.mime,
        )
        return SignedAttachment(
            **attachment.model_dump(),
            expires_at=self.expires_at(attachment),
            url=self._signer.path(attachment.id, life_s=life_s, disposition=disposition),
            delivery_url=delivery_url,
            url_expires_at=url_expires_at,
        )

    async def _keep(self, owner_id: str, coming: Attachment, body: "_Body") -> Attachment:
        try:
            with self._reaper.spared(coming.id):
                await self._database.write(attachments.begin, owner_id, coming)
                size_bytes = await self._blobs.write(coming.id, body.all(), mime_type=coming.mime)
                return await self._database.write(
                    attachments.finish,
                    owner_id,
                    coming.id,
                    size_bytes=size_bytes,
                    sha256=body.sha256,
                )
        except BaseException:
            await self._give_up(owner_id, coming.id)
            raise

    async def _give_up(self, owner_id: str, attachment_id: str) -> None:
        # Also when it is ready by now: who was cancelled cannot tell, and nobody learned its id.
        try:
            await self._database.write(attachments.discard, owner_id, attachment_id)
        except FlotillaError as error:
            logger.warning("attachment_not_discarded id=%s code=%s", attachment_id, error.code)
        self._reaper.wake()


class _Body:
    """The bytes of one file on their way: the first ones twice, all of them counted and hashed."""

    def __init__(self, chunks: AsyncIterable[bytes], max_bytes: int) -> None:
        self._chunks: AsyncIterator[bytes] = aiter(chunks)
        self._max_bytes = max_bytes
        self._held = b""
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The hash of what was given out so far."""
        return self._hash.hexdigest()

    @property
    def head(self) -> bytes:
        """The first bytes, once `mime` has read them and until `all` gives them out."""
        return self._held[:HEAD_BYTES]

    async def mime(self, name: str) -> str:
        """Return the type of what comes; `all` still yields all of it. Raises as `sniff`."""
        held = bytearray()
        size = None
        while len(held) < HEAD_BYTES and size is None:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                size = len(held)
            else:
                held += chunk
        self._held = bytes(held)
        return sniff(self.head, name=name, total_size=size or len(held) + 1)

    async def all(self) -> AsyncGenerator[bytes, None]:
        """Yield everything. Raises TooLarge as soon as it is."""
        size = 0
        chunk: bytes | None = self._held
        self._held = b""
        while chunk is not None:
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLarge(f"The file is larger than {self._max_bytes:,} bytes, the limit.")
            self._hash.update(chunk)
            yield chunk
            chunk = await anext(self._chunks, None)


def _with_ending(name: str, declared_mime: str | None) -> str:
    if PurePath(name).suffix or declared_mime is None:
        return name
    return name + (mimetypes.guess_extension(declared_mime.partition(";")[0].strip()) or "")
