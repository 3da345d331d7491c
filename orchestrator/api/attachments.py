"""Files go out: what is known of them, and their bytes.

The bytes come from our origin but can do nothing in it: no type that runs, `nosniff`, a sandbox,
and a download for everything that is not a picture or sound.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from orchestrator.api.deps import AttachmentsDep, DatabaseDep, PrincipalDep
from orchestrator.api.problems import problem, problem_response, problem_responses
from orchestrator.api.ranges import ByteRange, NotSatisfiable, has_it_already, requested_range
from orchestrator.api.signed_access import has_signature
from orchestrator.attachments.names import content_disposition
from orchestrator.attachments.sniffing import INLINE_TYPES
from orchestrator.attachments.uploads import Attachments
from orchestrator.domain.attachments import Attachment, Disposition, SignedAttachment
from orchestrator.store import attachments as rows

router = APIRouter(prefix="/api/attachments", tags=["attachments"])

_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_CONTENT_ANSWERS: dict[int | str, dict[str, Any]] = {
    **problem_responses(404, 416, 502),
    200: {"description": "The whole file.", **_BYTES},
    206: {"description": "The part that was asked for.", **_BYTES},
    304: {"description": "The client has it already."},
}


class AttachmentPage(BaseModel):
    """Attachments, the newest first."""

    items: list[SignedAttachment]
    next_cursor: str | None


Shown = Annotated[
    Disposition, Query(description="`inline` shows pictures and sound; all else is a download.")
]
Expires = Annotated[int | None, Query(description="With `signature`: of an address of ours.")]
Signature = Annotated[str | None, Query(description="Stands in for a login until `expires`.")]


@router.get("", responses=problem_responses(404, 502))
async def list_attachments(
    principal: PrincipalDep,
    database: DatabaseDep,
    attachments: AttachmentsDep,
    session_id: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> AttachmentPage:
    """List files, the newest first: all, or those of one session."""
    found, next_cursor = await database.read(
        rows.page, principal.owner_id, limit=limit, session_id=session_id, cursor=cursor
    )
    items = await attachments.all_signed(found)
    return AttachmentPage(items=items, next_cursor=next_cursor)


@router.get("/{attachment_id}", responses=problem_responses(404, 502))
async def get_attachment(
    attachment_id: str, principal: PrincipalDep, attachments: AttachmentsDep
) -> SignedAttachment:
    """Return what is known of a file, with fresh addresses."""
    return await attachments.signed(await attachments.get(principal.owner_id, attachment_id))


@router.delete("/{attachment_id}", status_code=204, responses=problem_responses(404, 507))
async def delete_attachment(
    attachment_id: str, principal: PrincipalDep, attachments: AttachmentsDep
) -> Response:
    """Delete a file for good."""
    await attachments.delete(principal.owner_id, [attachment_id])
    return Response(status_code=204)


@router.get("/{attachment_id}/content", response_class=Response, responses=_CONTENT_ANSWERS)
async def get_content(
    attachment_id: str,
    request: Request,
    attachments: AttachmentsDep,
    disposition: Shown = "inline",
    expires: Expires = None,
    signature: Signature = None,
) -> Response:
    """Return the bytes, or one range of them, to the owner or to whoever has a signed address."""
    return await _content(attachment_id, request, attachments, disposition)


@router.head("/{attachment_id}/content", response_class=Response, responses=_CONTENT_ANSWERS)
async def head_content(
    attachment_id: str,
    request: Request,
    attachments: AttachmentsDep,
    disposition: Shown = "inline",
    expires: Expires = None,
    signature: Signature = None,
) -> Response:
    """Return what `GET` would, without the bytes."""
    return await _content(attachment_id, request, attachments, disposition)


async def _content(
    attachment_id: str, request: Request, attachments: Attachments, disposition: Disposition
) -> Response:
    if has_signature(request.scope, attachment_id):
        owner_id = await attachments.owner_of(attachment_id)
    else:
        owner_id = request.state.principal.owner_id
    attachment = await attachments.get(owner_id, attachment_id)
    await attachments.use(owner_id, [attachment])
    headers = _headers(attachment, disposition)
    if has_it_already(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        headers["Content-Length"] = str(attachment.size_bytes)
        return Response(headers=headers, media_type=attachment.mime)
    return await _part(attachment, request, attachments, headers)


async def _part(
    attachment: Attachment, request: Request, attachments: Attachments, headers: dict[str, str]
) -> Response:
    """Return the range that is asked for, or the whole."""
    size = attachment.size_bytes
    try:
        asked = requested_range(request.headers, size, headers["ETag"])
    except NotSatisfiable:
        document = problem(416, f"The file has {size:,} bytes; the range begins after them.")
        return problem_response(document, {"Content-Range": f"bytes */{size}"})
    part = asked or ByteRange(0, size)
    headers["Content-Length"] = str(part.end - part.start)
    if asked:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    chunks = attachments.bytes_of(attachment, start=part.start, end=part.end)
    # Before the answer begins: that it is not there, or cannot be read now, has answers of its own.
    first = await anext(chunks)
    status = 206 if asked else 200
    return StreamingResponse(_whole(first, chunks), status, headers, media_type=attachment.mime)


def _headers(attachment: Attachment, disposition: Disposition) -> dict[str, str]:
    shown: Disposition = disposition if attachment.mime in INLINE_TYPES else "attachment"
    return {
        "Content-Disposition": content_disposition(shown, attachment.name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{attachment.sha256}"',
    }


async def _whole(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk
