"""Gmail's API in its own words, bounded: nothing here is larger than it says."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from io import BytesIO
from typing import Any, Literal, cast

from servers.kit.errors import NotFound, TooLarge
from servers.kit.google.api import GoogleAccount

Message = Mapping[str, Any]

MAX_MAIL_BYTES = 35 * 1024 * 1024
"""Of a mail that Gmail takes for sending or as a draft, 36,700,160 bytes."""
MAX_STRUCTURE_BYTES = 8 * 1024 * 1024
"""Of a mail without its files; texts are part of it."""
BEGINNING_BYTES = 4 * 1024 * 1024
"""What is read of a text that is larger than that."""
MAX_FILE_ANSWER_BYTES = 72 * 1024 * 1024
"""Of a file in base64: a mail that comes may have 50 MB."""
MAX_DEPTH = 10
LIST_HEADERS = ("From", "To", "Subject", "Date")


def _mask_of_parts(depth: int) -> str:
    """The structure of a mail without its texts, as a mask of fields."""
    own = "partId,mimeType,filename,headers,body(size,attachmentId)"
    return own if depth == 0 else f"{own},parts({_mask_of_parts(depth - 1)})"


_WITHOUT_TEXTS = (
    f"id,threadId,labelIds,snippet,internalDate,sizeEstimate,payload({_mask_of_parts(MAX_DEPTH)})"
)


class GmailClient:
    """One account in one call of a tool. Raises the UpstreamErrors, and OutcomeUnknown."""

    def __init__(self, google: GoogleAccount) -> None:
        self._google = google
        self.account = google.name
        self._users = google.service.users()
        self._messages = self._users.messages()
        self._drafts = self._users.drafts()
        self._labels = self._users.labels()

    # Reading

    async def list_messages(
        self, query: str, *, limit: int, page: str | None, everywhere: bool
    ) -> Message:
        """`{"messages": [{"id", "threadId"}], "nextPageToken"}`, newest first."""
        asked = {"userId": "me", "q": query, "maxResults": limit, "includeSpamTrash": everywhere}
        return await self._google.execute(
            self._messages.list(**asked, **({"pageToken": page} if page else {}))
        )

    async def heads(
        self, ids: Sequence[str], headers: Sequence[str] = LIST_HEADERS
    ) -> list[Message | None]:
        """Each with its first headers and labels; None for what is gone."""
        form = {"format": "metadata", "metadataHeaders": list(headers)}
        requests = [self._messages.get(userId="me", id=one, **form) for one in ids]
        return list(await self._google.read_all(requests))

    async def labels_of(self, ids: Sequence[str]) -> list[frozenset[str] | None]:
        """The labels each mail has now; None for what is not there."""
        form = {"format": "minimal", "fields": "id,labelIds"}
        requests = [self._messages.get(userId="me", id=one, **form) for one in ids]
        found = await self._google.read_all(requests)
        return [None if one is None else frozenset(one.get("labelIds", ())) for one in found]

    async def message(self, message_id: str) -> Message:
        """The whole mail but for its files; of one with huge texts not those either."""
        asked = {"userId": "me", "id": message_id, "format": "full"}
        return await self._whole(self._messages, asked)

    async def messages(self, ids: Sequence[str]) -> list[Message | None]:
        """The same for several."""
        requests = [self._messages.get(userId="me", id=one, format="full") for one in ids]
        try:
            return list(await self._google.read_all(requests))
        except TooLarge:
            return [await self._message_if_there(one) for one in ids]

    async def thread_rows(self, thread_id: str) -> list[Message]:
        """`{"id", "internalDate", "labelIds"}` of each mail of a thread, oldest first."""
        fields = "messages(id,internalDate,labelIds)"
        request = self._users.threads().get(
            userId="me", id=thread_id, format="minimal", fields=fields
        )
        found = await self._google.execute(request)
        return cast("list[Message]", found.get("messages", []))

    async def beginning(self, message_id: str) -> bytes:
        """The first megabytes of a mail as it came over the wire."""
        request = self._messages.get(userId="me", id=message_id, format="raw", fields="raw")
        return await self._beginning(request, "raw")

    async def beginning_of_part(self, message_id: str, attachment_id: str) -> bytes:
        return await self._beginning(self._file(message_id, attachment_id), "data")

    def file(self, message_id: str, attachment_id: str) -> AsyncGenerator[bytes]:
        """The bytes of a part, in pieces."""
        request = self._file(message_id, attachment_id)
        return self._google.bytes_of(request, max_bytes=MAX_FILE_ANSWER_BYTES)

    # Drafts

    async def list_drafts(self, *, limit: int, page: str | None) -> Message:
        asked = {"userId": "me", "maxResults": limit}
        return await self._google.execute(
            self._drafts.list(**asked, **({"pageToken": page} if page else {}))
        )

    async def draft(self, draft_id: str) -> Message:
        """`{"id", "message"}`, as `message` gives it. Raises NotFound."""
        try:
            return await self._whole(
                self._drafts, {"userId": "me", "id": draft_id, "format": "full"}
            )
        except NotFound as error:
            raise NotFound(
                f"There is no draft {draft_id!r} (any more): list_drafts says which there are."
            ) from error

    async def draft_raw(self, draft_id: str) -> bytes:
        """The draft as it would go over the wire. Raises TooLarge."""
        request = self._drafts.get(userId="me", id=draft_id, format="raw", fields="message(raw)")
        pieces = self._google.bytes_of(request, field="raw", max_bytes=MAX_FILE_ANSWER_BYTES)
        async with aclosing(pieces):
            return b"".join([piece async for piece in pieces])

    async def drafts_with(self, message_id_header: str) -> list[Message]:
        """The drafts that have this Message-ID. Gmail's index may be late."""
        request = self._drafts.list(userId="me", q=f"rfc822msgid:{message_id_header}")
        return cast("list[Message]", (await self._google.execute(request)).get("drafts", []))

    async def create_draft(self, mail: bytes, thread_id: str | None) -> Message:
        body = {"message": {"threadId": thread_id}} if thread_id else {}
        return await self._google.execute(
            self._drafts.create(userId="me", body=body, media_body=_upload(mail))
        )

    async def update_draft(self, draft_id: str, mail: bytes, thread_id: str) -> Message:
        """Replaces the mail of a draft; twice is as good as once."""
        asked: dict[str, Any] = {"userId": "me", "id": draft_id}
        asked["body"] = {"message": {"threadId": thread_id}}
        request = self._drafts.update(**asked, media_body=_upload(mail))
        return await self._google.execute(request, may_repeat=True)

    async def send_draft(self, draft_id: str) -> Message:
        return await self._google.execute(self._drafts.send(userId="me", body={"id": draft_id}))

    async def sent_with(self, message_id_header: str) -> Message | None:
        """The mail with this Message-ID among those that were sent."""
        request = self._messages.list(
            userId="me", q=f"rfc822msgid:{message_id_header}", labelIds=["SENT"]
        )
        found = (await self._google.execute(request)).get("messages", [])
        return found[0] if found else None

    async def delete_draft(self, draft_id: str) -> None:
        await self._google.execute(self._drafts.delete(userId="me", id=draft_id))

    async def own_addresses(self) -> list[str]:
        """The account's address and the others it sends as."""
        request = self._users.settings().sendAs().list(userId="me", fields="sendAs(sendAsEmail)")
        found = await self._google.execute(request)
        return [self.account, *(one["sendAsEmail"].lower() for one in found.get("sendAs", ()))]

    # Labels

    async def labels(self) -> list[Message]:
        found = await self._google.execute(self._labels.list(userId="me"))
        return cast("list[Message]", found.get("labels", []))

    async def label_counts(self, ids: Sequence[str]) -> list[Message | None]:
        requests = [self._labels.get(userId="me", id=one) for one in ids]
        return list(await self._google.read_all(requests))

    async def create_label(self, name: str) -> Message:
        return await self._google.execute(self._labels.create(userId="me", body={"name": name}))

    async def rename_label(self, label_id: str, name: str) -> Message:
        request = self._labels.patch(userId="me", id=label_id, body={"name": name})
        return await self._google.execute(request, may_repeat=True)

    async def delete_label(self, label_id: str) -> None:
        await self._google.execute(self._labels.delete(userId="me", id=label_id))

    async def modify(self, ids: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> None:
        """Changes the labels of up to 1,000 mails; those that are gone are passed over."""
        body = {"ids": list(ids), "addLabelIds": list(add), "removeLabelIds": list(remove)}
        request = self._messages.batchModify(userId="me", body=body)
        await self._google.execute(request, may_repeat=True)

    async def move(self, message_id: str, where: Literal["trash", "untrash"]) -> None:
        request = getattr(self._messages, where)(userId="me", id=message_id)
        await self._google.execute(request, may_repeat=True)

    async def _whole(self, resource: Any, asked: Mapping[str, Any]) -> Message:
        try:
            return await self._google.execute(resource.get(**asked), max_bytes=MAX_STRUCTURE_BYTES)
        except TooLarge:
            is_draft = resource is self._drafts
            mask = f"id,message({_WITHOUT_TEXTS})" if is_draft else _WITHOUT_TEXTS
            return await self._google.execute(
                resource.get(**asked, fields=mask), max_bytes=MAX_STRUCTURE_BYTES
            )

    async def _message_if_there(self, message_id: str) -> Message | None:
        try:
            return await self.message(message_id)
        except NotFound:
            return None

    def _file(self, message_id: str, attachment_id: str) -> Any:
        return self._messages.attachments().get(userId="me", messageId=message_id, id=attachment_id)

    async def _beginning(self, request: Any, field: str) -> bytes:
        pieces = self._google.bytes_of(request, field=field, max_bytes=MAX_FILE_ANSWER_BYTES)
        content = bytearray()
        async with aclosing(pieces):
            async for piece in pieces:
                content += piece
                if len(content) >= BEGINNING_BYTES:
                    break
        return bytes(content)


def _upload(mail: bytes) -> Any:
    # Loaded by now, with what builds requests: 6 MB that a server nobody calls need not have.
    from googleapiclient.http import (  # pyright: ignore[reportMissingTypeStubs]  # noqa: PLC0415
        MediaIoBaseUpload,
    )

    return MediaIoBaseUpload(BytesIO(mail), mimetype="message/rfc822", resumable=False)
