"""Pictures, sounds and documents, good and hostile, made anew by each test."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

CONTENT_TYPES = (
    b'<?xml version="1.0"?><Types '
    b'xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
)


def png(width: int = 3, height: int = 2) -> bytes:
    """A picture whose header tells any size; its one line of data is enough for a header."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\x00" * 64)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def jpeg(width: int = 3, height: int = 2, *, metadata: int = 0) -> bytes:
    """A picture behind `metadata` bytes of profile."""
    profile = b"".join(
        b"\xff\xe2" + struct.pack(">H", 60_002) + bytes(60_000) for _ in range(metadata // 60_000)
    )
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + profile + frame + b"\xff\xd9"


def gif(width: int = 3, height: int = 2) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    picture = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + screen + bytes(6) + picture + b";"


def webp(kind: str = "VP8X", width: int = 3, height: int = 2) -> bytes:
    body = {
        "VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        "VP8L": b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(8),
        "VP8 ": b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(4),
    }[kind]
    chunk = kind.encode() + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def mp3(*, cover: int | None = None) -> bytes:
    """Two frames of 128 kbit/s, behind a cover of so many bytes."""
    frame = b"\xff\xfb\x90\x64" + bytes(413)
    if cover is None:
        return frame * 2
    size = bytes(cover >> 7 * place & 0x7F for place in (3, 2, 1, 0))
    return b"ID3\x03\x00\x00" + size + bytes(cover) + frame * 2


def wav() -> bytes:
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + bytes(4)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def ogg(codec: bytes = b"OpusHead") -> bytes:
    return b"OggS\x00\x02" + bytes(20) + b"\x01" + bytes([len(codec) + 8]) + codec + bytes(8)


def webm(*codecs: bytes) -> bytes:
    head = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm\x18\x53\x80\x67\x01" + bytes(7)
    return head + b"".join(b"\x86" + bytes([0x80 | len(codec)]) + codec for codec in codecs)


def mp4(brand: bytes, *handlers: bytes) -> bytes:
    tracks = b"".join(b"\x00\x00\x00\x21hdlr" + bytes(8) + kind + bytes(13) for kind in handlers)
    return b"\x00\x00\x00\x14ftyp" + brand + bytes(4) + brand + bytes(8) + tracks


def zipped(parts: Mapping[str, bytes], *, compress: bool = True) -> bytes:
    """A zip of these parts, in this order."""
    target = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()
