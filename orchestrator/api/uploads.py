"""Files come in: one streamed multipart request for one or several."""

from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from orchestrator.api.authenticator import Principal
from orchestrator.api.deps import AttachmentsDep, PrincipalDep
from orchestrator.api.guard import BodyRule
from orchestrator.api.multipart import MalformedBody, MultipartBody, Part
from orchestrator.api.problems import problem_responses
from orchestrator.attachments.names import clean_name
from orchestrator.attachments.uploads import Attachments
from orchestrator.domain.attachments import Attachment, SignedAttachment
from orchestrator.errors import (
    BlobStoreRefused,
    BlobStoreUnavailable,
    FlotillaError,
    InvalidRequest,
    StorageFull,
    TooLarge,
    UnsupportedType,
)

MAX_FILES = 20
PATH = "/api/uploads"
_FRAMING_BYTES = 1024 * 1024
_OF_ONE_FILE = (
    *(InvalidRequest, TooLarge, UnsupportedType, StorageFull),
    *(BlobStoreUnavailable, BlobStoreRefused),
)

router = APIRouter(prefix=PATH, tags=["attachments"])


class RefusedFile(BaseModel):
    """A file that was not kept; nothing of it is stored."""

    name: str
    code: str
    """As in a problem document."""
    detail: str
    retryable: bool


class Uploaded(BaseModel):
    """What became of the files, in their order."""

    items: list[SignedAttachment]
    refused: list[RefusedFile]


def body_rule(max_size_bytes: int) -> BodyRule:
    """Return what one request may carry: all its files at their largest."""
    return BodyRule(PATH, max_bytes=MAX_FILES * max_size_bytes + _FRAMING_BYTES, any_type=True)


_FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "session_id": {
            "type": "string",
            "description": "The session that the files belong to.",
        },
        "file": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "minItems": 1,
            "description": f"{MAX_FILES} are kept at most.",
        },
    },
}


@router.post(
    "",
    status_code=201,
    responses=problem_responses(404, 502, 507),
    openapi_extra={
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    },
)
async def upload(
    request: Request, principal: PrincipalDep, attachments: AttachmentsDep
) -> Uploaded:
    """Keep files, 20 at most; those refused are named, and when all were, that is the answer."""
    body = MultipartBody(request.headers.get("content-type", ""), request.stream())
    receipt = _Receipt(principal, attachments)
    try:
        async for part in body.parts():
            await receipt.take(part)
        await receipt.bind()
        if not receipt.kept:
            raise receipt.first_refusal or InvalidRequest("file: send at least one file.")
        items = await attachments.all_signed(receipt.kept)
    except BaseException:
        await receipt.undo()
        raise
    refused = [_refused(name, error) for name, error in receipt.refused]
    return Uploaded(items=items, refused=refused)


@router.get("/{attachment_id}/content", include_in_schema=False)
async def get_upload(attachment_id: str) -> None:
    """Say where the content of uploads is now."""
    raise HTTPException(
        HTTPStatus.GONE, f"Files are at /api/attachments/{attachment_id}/content now."
    )


class _Receipt:
    """What was taken of one request, and what was not."""

    def __init__(self, principal: Principal, attachments: Attachments) -> None:
        self._principal = principal
        self._attachments = attachments
        self._session_id: str | None = None
        self._files = 0
        self.kept: list[Attachment] = []
        self.refused: list[tuple[str, FlotillaError]] = []

    @property
    def first_refusal(self) -> FlotillaError | None:
        """Why the first file was refused that was."""
        return self.refused[0][1] if self.refused else None

    async def take(self, part: Part) -> None:
        """Keep or refuse a file, or note a field. Raises InvalidRequest and MalformedBody."""
        if part.name == "session_id" and part.file_name is None:
            if self._session_id is not None:
                raise InvalidRequest("session_id: comes once.")
            self._session_id = await part.text()
        elif part.name == "file":
            await self._take_file(part)
        else:
            raise InvalidRequest("The fields of an upload are `session_id` and `file`.")

    async def bind(self) -> None:
        """Give the session those that came before its id did. Raises NotFound."""
        if self._session_id is not None and self.kept:
            ids = [attachment.id for attachment in self.kept]
            owner_id = self._principal.owner_id
            self.kept = await self._attachments.claim(owner_id, ids, self._session_id)

    async def undo(self) -> None:
        """Delete what was kept: who sent it never learns that it was."""
        if self.kept:
            ids = [attachment.id for attachment in self.kept]
            await self._attachments.delete(self._principal.owner_id, ids)

    async def _take_file(self, part: Part) -> None:
        self._files += 1
        try:
            if self._files > MAX_FILES:
                raise TooLarge(f"One upload has {MAX_FILES} files at most.")
            saved = await self._attachments.save(
                self._principal.owner_id,
                part.chunks(),
                name=part.file_name or "",
                source="server" if self._principal.scope == "server" else "upload",
                session_id=self._session_id,
                declared_mime=part.mime,
            )
        except MalformedBody:
            raise
        except _OF_ONE_FILE as error:
            self.refused.append((part.file_name or "", error))
        else:
            self.kept.append(saved)


def _refused(name: str, error: FlotillaError) -> RefusedFile:
    return RefusedFile(
        name=clean_name(name), code=error.code, detail=str(error), retryable=error.retryable
    )
