"""Files over HTTP: in by multipart, out by login or signature, gone for good."""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store import sessions
from tests.orchestrator.api.doorway import Answer, Door
from tests.orchestrator.api.house import owner_of, token_of, whole_house

MAX_BYTES = 100_000
BOUNDARY = "----flotilla"


def png(size: int = 200) -> bytes:
    """A picture of one pixel, and bytes behind it until it has `size`."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0\0\0\0")), (b"IEND", b"")]
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return picture + b"x" * (size - len(picture))


def form(*files: tuple[str, bytes], **fields: str) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, content in files:
        quoted = name.replace('"', "%22")
        parts.append(
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
            f'name="file"; filename="{quoted}"\r\nContent-Type: text/html\r\n\r\n'.encode()
            + content
            + b"\r\n"
        )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def upload(door: Door, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    return door.ask("POST", "/api/uploads", {**MULTIPART, **(headers or door.bearer)}, body=body)


def uploaded(door: Door, name: str = "a.png", content: bytes = b"", **fields: str) -> Any:
    answer = upload(door, form((name, content or png()), **fields))
    assert answer.status == 201, answer.body
    return answer.json["items"][0]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    server = {"id": "mail", "url": "http://127.0.0.1:9/mcp", "trust": "fleet"}
    folder = tmp_path_factory.mktemp("house")
    with whole_house(folder, [server], attachments_max_size_bytes=MAX_BYTES) as door:
        yield door


def blobs(house: Door) -> set[str]:
    return {path.name for path in (house.data_dir / "attachments").glob("*/att_*")}


def session_of(house: Door) -> str:
    create = house.api.state.database.write(sessions.create, owner_of(house), "Files")
    return house.run(create).id


def test_a_file_comes_back_as_it_went_in(house: Door) -> None:
    content = png(5_000)
    session_id = session_of(house)
    item = uploaded(house, "holiday.png", content, session_id=session_id)
    assert item["id"].startswith("att_")
    assert (item["name"], item["mime"], item["size_bytes"]) == ("holiday.png", "image/png", 5_000)
    assert (item["session_id"], item["source"]) == (session_id, "upload")
    assert item["sha256"] == hashlib.sha256(content).hexdigest()
    assert item["created_at"] < item["url_expires_at"] < item["expires_at"]

    answer = house.ask("GET", f"/api/attachments/{item['id']}/content", house.bearer)
    assert (answer.status, answer.body) == (200, content)
    assert house.ask("GET", item["url"]).body == content
    assert house.ask("GET", item["delivery_url"].partition(".org")[2]).body == content
    assert (house.data_dir / "attachments").stat().st_mode & 0o777 == 0o700
    assert not list((house.data_dir / "attachments" / ".incoming").iterdir())
