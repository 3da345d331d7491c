"""Pictures, sounds and documents, good and hostile, made anew by each test."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Literal

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


def exif(orientation: int, order: Literal["<", ">"] = ">") -> bytes:
    """A block that says how a photograph was held."""
    mark = b"II" if order == "<" else b"MM"
    entries = ((0x0100, 4, 4000), (0x0112, 3, orientation), (0x0128, 3, 2))
    packed = b"".join(
        struct.pack(f"{order}HHI" + ("H2x" if kind == 3 else "I"), tag, kind, 1, value)
        for tag, kind, value in entries
    )
    tiff = mark + struct.pack(f"{order}HIH", 42, 8, len(entries)) + packed + bytes(4)
    return b"Exif\x00\x00" + tiff


def jpeg(width: int = 3, height: int = 2, *, metadata: int = 0, held: bytes | None = None) -> bytes:
    """A picture behind `metadata` bytes of profile; `held` is a block of Exif."""
    profile = b"".join(
        b"\xff\xe2" + struct.pack(">H", 60_002) + bytes(60_000) for _ in range(metadata // 60_000)
    )
    if held is not None:
        profile += b"\xff\xe1" + struct.pack(">H", len(held) + 2) + held
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


def mp3(*, cover: int | None = None, frames: int = 2) -> bytes:
    """Silent frames of 26 ms and 128 kbit/s, behind a cover of so many bytes."""
    frame = b"\xff\xfb\x90\x64" + bytes(413)
    if cover is None:
        return frame * frames
    size = bytes(cover >> 7 * place & 0x7F for place in (3, 2, 1, 0))
    return b"ID3\x03\x00\x00" + size + bytes(cover) + frame * frames


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


OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def docx_parts(document: bytes) -> dict[str, bytes]:
    """The parts of a Word file around the XML of its document."""
    return {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": _relationships({"rId1": ("officeDocument", "word/document.xml")}),
        "word/document.xml": document,
    }


def word_document(body: bytes, *, prolog: bytes = b"") -> bytes:
    return b"%s<w:document xmlns:w='%s'><w:body>%s</w:body></w:document>" % (
        prolog,
        WORD.encode(),
        body,
    )


def xlsx_parts(sheet: bytes) -> dict[str, bytes]:
    """The parts of a workbook around the XML of its only sheet."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/s.xml" ContentType="{kind}.worksheet+xml"/></Types>'
    )
    workbook = (
        f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}">'
        '<sheets><sheet name="Big" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )
    return {
        "[Content_Types].xml": types.encode(),
        "_rels/.rels": _relationships({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": workbook.encode(),
        "xl/_rels/workbook.xml.rels": _relationships({"rId1": ("worksheet", "worksheets/s.xml")}),
        "xl/worksheets/s.xml": sheet,
    }


def sheet_xml(rows: str, *, size: str = "A1:XFD1048576") -> bytes:
    """A sheet that declares to be of any size."""
    text = f'<worksheet xmlns="{SHEET}"><dimension ref="{size}"/><sheetData>{rows}</sheetData>'
    return f"{text}</worksheet>".encode()


def pdf(*objects: bytes, root: int = 1) -> bytes:
    """A PDF of these objects, numbered from 1, with a table of where they are."""
    body = bytearray(b"%PDF-1.7\n")
    places: list[int] = []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % place for place in places)
    body += b"trailer\n<</Size %d/Root %d 0 R>>\n" % (len(objects) + 1, root)
    return bytes(body + b"startxref\n%d\n%%%%EOF\n" % table)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """A stream object of a PDF."""
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (entries, len(content), content)


def pdf_pages(*pages: bytes) -> bytes:
    """A PDF with a page for each content stream; `pdf_text` makes one that shows text."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * place) for place in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for place, content in enumerate(pages):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]"
            b"/Resources<</Font<</F 3 0 R>>/XObject<</X %d 0 R>>>>/Contents %d 0 R>>"
            % (5 + 2 * place, 5 + 2 * place)
        )
        objects.append(
            stream(content, b"/Type/XObject/Subtype/Form/Resources<</XObject<</X 5 0 R>>>>")
        )
    return pdf(*objects)


def pdf_text(text: str) -> bytes:
    return b"BT /F 12 Tf 50 700 Td (%s) Tj ET" % text.encode()


def _relationships(targets: Mapping[str, tuple[str, str]]) -> bytes:
    lines = "".join(
        f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}">{lines}</Relationships>'.encode()
