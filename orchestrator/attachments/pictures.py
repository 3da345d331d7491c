"""Reads the size of a picture from its header, and refuses what is no picture or far too large.

Nothing is decoded here: the bytes go to browsers and models as they came. The checks are of the
structure that a decoder would follow, so that a script behind a picture's first bytes (`GIF89a/*`)
is told from a picture. A picture built with care can still be read as a script by something that
asks for neither type nor structure; that it is served with its type, `nosniff` and a sandbox makes
it inert in a browser.
"""

import struct
import zlib
from dataclasses import dataclass

from orchestrator.errors import TooLarge

MAX_PIXELS = 50_000_000
_NO_FRAMES = frozenset({0xC4, 0xC8, 0xCC})
"""JPEG markers in the range of frame headers which are none: tables and reserved."""
_EXIF = b"Exif\x00\x00"
_ORIENTATION = 0x0112
_ON_ITS_SIDE = range(5, 9)


@dataclass(frozen=True, slots=True)
class Picture:
    """What the header of a picture says."""

    mime: str
    width: int
    """Pixels, as it is shown: a photograph may be stored on its side."""
    height: int


def picture_in(head: bytes) -> Picture | None:
    """Return the PNG, JPEG, WebP or GIF that starts with `head`, or None.

    Raises TooLarge for more than 50 megapixels.
    """
    for mime, size_of in (
        ("image/png", _png_size),
        ("image/jpeg", _jpeg_size),
        ("image/webp", _webp_size),
        ("image/gif", _gif_size),
    ):
        size = size_of(head)
        if size is None or 0 in size:
            continue
        if size[0] * size[1] > MAX_PIXELS:
            message = f"The picture has {size[0]} x {size[1]} pixels; 50 million is the limit."
            raise TooLarge(message)
        return Picture(mime, *size)
    return None


def _png_size(head: bytes) -> tuple[int, int] | None:
    if not head.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR") or len(head) < 33:
        return None
    width, height, checksum = struct.unpack_from(">II5xI", head, 16)
    return (width, height) if zlib.crc32(head[12:29]) == checksum else None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    position, is_turned = 2, False
    while position + 9 <= len(head):
        if head[position] != 0xFF:
            return None
        marker = head[position + 1]
        if marker == 0xFF:  # filling
            position += 1
            continue
        length = struct.unpack_from(">H", head, position + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            height, width = struct.unpack_from(">HH", head, position + 5)
            return (height, width) if is_turned else (width, height)
        if head.startswith(_EXIF, position + 4):
            is_turned = _is_turned(head[position + 4 + len(_EXIF) : position + 2 + length])
        if marker < 0xC0 or marker in {0xD8, 0xD9, 0xDA} or length < 2:
            return None
        position += 2 + length
    return None


def _is_turned(exif: bytes) -> bool:
    """Tell whether whoever shows the picture has to turn it by a quarter."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return False
    start = struct.unpack_from(f"{order}I", exif, 4)[0] + 2
    for entry in range(start, len(exif) - 11, 12):
        tag, value = struct.unpack_from(f"{order}H6xH", exif, entry)
        if tag >= _ORIENTATION:  # they stand in order
            return tag == _ORIENTATION and value in _ON_ITS_SIDE
    return False


def _webp_size(head: bytes) -> tuple[int, int] | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    kind = head[12:16]
    if kind == b"VP8X":
        return _uint24(head, 24) + 1, _uint24(head, 27) + 1
    if kind == b"VP8L" and head[20] == 0x2F:
        packed = struct.unpack_from("<I", head, 21)[0]
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _gif_size(head: bytes) -> tuple[int, int] | None:
    if head[:6] not in {b"GIF87a", b"GIF89a"} or len(head) < 14:
        return None
    # Eleven and twelve thousand pixels of width: no picture, but the comment of a script.
    if b"/*" in head[6:10] or b"//" in head[6:10]:
        return None
    width, height, flags = struct.unpack_from("<HHB", head, 6)
    colours = 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
    # An extension, a picture or the end must follow the table of colours.
    return (width, height) if head[13 + colours : 14 + colours] in {b"!", b",", b";"} else None


def _uint24(head: bytes, at: int) -> int:
    return int.from_bytes(head[at : at + 3], "little")
