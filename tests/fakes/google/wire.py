"""The parts of HTTP that Google's clients use beside plain JSON: uploads and batches."""

import re
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from http import HTTPStatus
from uuid import uuid4

from tests.fakes.google.discovery import Method
from tests.fakes.google.refusals import Refused, invalid

MAX_BATCH = {"gmail.v1": 100, "calendar.v3": 1_000, "tasks.v1": 50}
BATCH_PATHS = {
    "/batch": "gmail.v1",
    "/batch/gmail/v1": "gmail.v1",
    "/batch/calendar/v3": "calendar.v3",
    "/batch/tasks/v1": "tasks.v1",
}


@dataclass
class Asked:
    """A request as it came; `path` is still quoted, names of headers are in small letters."""

    http_method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def taken_apart(
    method: Method, asked: Asked, upload_type: str | None
) -> tuple[bytes, bytes | None]:
    """Return a request's JSON and what is uploaded with it. Raises Refused."""
    if method.upload == "none":
        return asked.body, None
    if method.upload == "resumable" or upload_type not in ("media", "multipart"):
        raise Refused(501, "This fake takes no resumable uploads.")
    if len(asked.body) > method.max_upload_bytes:
        raise Refused(413, "Request Entity Too Large")
    kind = asked.headers.get("content-type", "")
    if upload_type == "media":
        return b"", _of_mail(kind, asked.body)
    parts = _parts(asked)
    if len(parts) != 2:
        raise invalid("Multipart body must have two parts", "badContent")
    return parts[0][1], _of_mail(parts[1][0].get("content-type", ""), parts[1][1])


def _of_mail(kind: str, content: bytes) -> bytes:
    if not kind.startswith("message/"):
        raise Refused(400, f"Media type '{kind}' is not supported. Valid media types: [message/*]")
    return content


def batched(asked: Asked, limit: int) -> list[tuple[str, Asked]]:
    """Return the requests inside a batch, each with its content id. Raises Refused."""
    inner: list[tuple[str, Asked]] = []
    for headers, content in _parts(asked):
        head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
        first, *lines = head.decode().splitlines()
        http_method, target, *_ = first.split(" ")
        path, _, query = target.partition("?")
        pairs = (line.partition(":") for line in lines)
        own = {name.strip().lower(): value.strip() for name, _, value in pairs}
        authorized = {"authorization": asked.headers.get("authorization", ""), **own}
        inner.append(
            (headers.get("content-id", ""), Asked(http_method, path, query, authorized, body))
        )
    if len(inner) > limit:
        raise invalid(f"The batch request exceeds the limit of {limit} calls", "batchSizeTooLarge")
    return inner


def batch_answer(answers: list[tuple[str, Answer]]) -> Answer:
    """Return the answers to a batch as one."""
    boundary = f"batch_{uuid4().hex}"
    text = b""
    for content_id, answer in answers:
        inner_id = content_id.replace("<", "<response-", 1)
        head = (
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {inner_id}\r\n\r\n"
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        )
        fields = {**answer.headers, "Content-Length": str(len(answer.body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        text += head.encode() + lines.encode() + b"\r\n" + answer.body + b"\r\n"
    text += f"--{boundary}--\r\n".encode()
    return Answer(200, text, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


def _parts(asked: Asked) -> list[tuple[dict[str, str], bytes]]:
    """Return the headers and the bytes of each part of a multipart body. Raises Refused."""
    kind = asked.headers.get("content-type", "")
    head = BytesParser(policy=policy.HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n"
    )
    boundary = head.get_boundary()
    if not boundary or head.get_content_maintype() != "multipart":
        raise invalid("Missing or malformed multipart boundary", "badRequest")
    found: list[tuple[dict[str, str], bytes]] = []
    mark = b"--" + boundary.encode()
    for piece in (b"\r\n" + asked.body.replace(b"\r\n" + mark, b"\n" + mark)).split(b"\n" + mark)[
        1:
    ]:
        if piece.startswith(b"--"):
            return found
        text = piece.split(b"\n", 1)[1] if b"\n" in piece else b""
        # The head of a part may have other ends of lines than its content.
        raw_head, _, content = re.sub(rb"\r?\n\r?\n", b"\0", text, count=1).partition(b"\0")
        message = BytesParser(policy=policy.HTTP).parsebytes(raw_head + b"\n\n", headersonly=True)
        found.append(({name.lower(): str(value) for name, value in message.items()}, content))
    raise invalid("Multipart body without its end", "badRequest")
