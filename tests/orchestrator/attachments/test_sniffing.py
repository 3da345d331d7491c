"""The type of a file is what its bytes say, and what is on no list stays outside."""

import io

import docx
import openpyxl
import pptx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.attachments.sniffing import (
    DOCX,
    HEAD_BYTES,
    INLINE_TYPES,
    PPTX,
    XLSX,
    name_for,
    sniff,
)
from orchestrator.errors import InvalidRequest, TooLarge, UnsupportedType
from tests.fakes import documents

HTML = b"<!DOCTYPE html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (documents.png(), "image/png"),
        (documents.jpeg(), "image/jpeg"),
        (documents.jpeg(metadata=180_000), "image/jpeg"),
        (documents.gif(), "image/gif"),
        (documents.webp("VP8X"), "image/webp"),
        (documents.webp("VP8L"), "image/webp"),
        (documents.webp("VP8 "), "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (documents.mp3(), "audio/mpeg"),
        (documents.mp3(cover=500), "audio/mpeg"),
        (documents.mp3(cover=300_000), "audio/mpeg"),
        (documents.wav(), "audio/wav"),
        (documents.ogg(), "audio/ogg"),
        (documents.ogg(b"\x01vorbis"), "audio/ogg"),
        (documents.webm(b"A_OPUS"), "audio/webm"),
        (documents.mp4(b"M4A "), "audio/mp4"),
        (documents.mp4(b"isom", b"soun"), "audio/mp4"),
        ("caffè, 東京\n".encode(), "text/plain"),
        ("\ufeffcaffè".encode(), "text/plain"),
        ("caffè".encode("utf-16"), "text/plain"),
        (b"\x1b[31mred\x1b[0m in a log", "text/plain"),
    ],
)
@pytest.mark.parametrize("name", ["file", "file.pdf", "file.html", "file.png.exe"])
def test_the_bytes_decide_and_not_the_name(content: bytes, mime: str, name: str) -> None:
    found = sniff(content[:HEAD_BYTES], name=name, total_size=len(content))

    assert found == mime


@pytest.mark.parametrize(
    "content",
    [
        documents.ogg(b"\x80theora") + documents.ogg(),
        documents.webm(b"A_OPUS", b"V_VP9"),
        documents.webm(),
        documents.webm(b"A_OPUS").replace(b"webm", b"matr"),
        documents.mp4(b"isom", b"vide", b"soun"),
        documents.mp4(b"isom"),
        documents.mp4(b"heic"),
        documents.mp4(b"qt  ", b"soun"),
        documents.wav().replace(b"WAVE", b"AVI "),
        documents.mp3()[:417] + b"not a second frame",
        b"ID3\x09\x00\x00\x00\x00\x00\x0a",
    ],
)
def test_films_and_near_sounds_are_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedType, match="Accepted are"):
        sniff(content, name="song.mp3")


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a/*" + documents.gif()[8:] + b"*/=1;alert(1)",
        b"GIF89a=1;alert(1)//" + bytes(50),
        b"GIF89a<script>alert(1)</script>\x00",
        b"\x89PNG\r\n\x1a\n<script>alert(1)</script>" + bytes(50),
        documents.png().replace(b"IHDR", b"IHDX"),
        documents.png()[:29] + b"\x00\x00\x00\x00" + documents.png()[33:],
        b"\xff\xd8\xff\xe0\x2f\x2a=alert(1)",
        b"RIFF/*\x00\x00WEBPALPH" + bytes(30),
        b"junk\x00\n%PDF-1.4\n",
        b"\x7fELF\x02\x01\x01\x00",
        b"MZ\x90\x00",
        b"\xca\xfe\xba\xbe\x00\x00",
        b"BM\x36\x00\x00\x00",
        b"\x00\x00\x01\x00",
        b"caf\xe9",
        b"a\x00b",
        b"\x1f\x8b\x08\x00",
        b"Rar!\x1a\x07\x00",
        b"7z\xbc\xaf\x27\x1c",
        "wide".encode("utf-32"),
    ],
)
def test_polyglots_programs_and_unknown_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedType, match=r"PNG, JPEG.*MP3, WAV"):
        sniff(content, name="holiday.png", total_size=len(content))


@pytest.mark.parametrize("markup", [HTML, SVG, b"<?xml version='1.0'?><svg/>", b"hi <b>you</b>"])
@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.html", "a.md", "a.json", "a.csv", "a"])
@pytest.mark.parametrize("before", [b"", b" \r\n\t", b"\xef\xbb\xbf", b"%PDX ", b"GIF8 "])
def test_markup_is_plain_text_whatever_it_calls_itself(
    markup: bytes, name: str, before: bytes
) -> None:
    assert sniff(before + markup, name=name) == "text/plain"


@pytest.mark.parametrize("markup", [HTML, SVG])
def test_markup_in_utf_16_is_plain_text_too(markup: bytes) -> None:
    assert sniff(markup.decode().encode("utf-16"), name="a.svg") == "text/plain"


@pytest.mark.parametrize(
    ("content", "name", "mime"),
    [
        (b"# Title\n\n1 < 2\n", "notes.md", "text/markdown"),
        (b"a,b\n1,2\n", "table.CSV", "text/csv"),
        (b'{"a": 1}', "a.json", "application/json"),
        (b"[1]", "a.json", "application/json"),
        (b"no JSON at all", "a.json", "text/plain"),
        (b'{"a": 1}', "a.json.txt", "text/plain"),
        (b"import os", "a.py", "text/plain"),
    ],
)
def test_the_name_chooses_among_harmless_kinds_of_text(
    content: bytes, name: str, mime: str
) -> None:
    assert sniff(content, name=name) == mime


def test_only_pictures_and_sound_are_for_showing() -> None:
    assert {mime.split("/")[0] for mime in INLINE_TYPES} == {"image", "audio"}
    assert "image/svg+xml" not in INLINE_TYPES


def _saved(document: object) -> bytes:
    target = io.BytesIO()
    document.save(target)  # type: ignore[attr-defined]
    return target.getvalue()


@pytest.mark.parametrize(
    ("make", "mime"),
    [(docx.Document, DOCX), (openpyxl.Workbook, XLSX), (pptx.Presentation, PPTX)],
)
def test_office_files_are_known_by_what_is_in_the_zip(make: type, mime: str) -> None:
    assert sniff(_saved(make())[:HEAD_BYTES], name="a.zip") == mime


@pytest.mark.parametrize(
    "parts",
    [
        {"readme.txt": b"hi"},
        {"[Content_Types].xml": documents.CONTENT_TYPES},
        {"META-INF/MANIFEST.MF": b"", "word/a.class": b""},
        {"AndroidManifest.xml": b"", "classes.dex": b"", "xl/a": b""},
        {"word/document.xml": b"", "xl/workbook.xml": b""},
        {"word/document.xml": b"", "run.exe": b"MZ"},
        {"../word/document.xml": b""},
    ],
)
def test_other_archives_are_refused(parts: dict[str, bytes]) -> None:
    with pytest.raises(UnsupportedType, match="archive"):
        sniff(documents.zipped(parts), name="a.docx")


def test_an_old_or_encrypted_office_file_says_what_to_do() -> None:
    with pytest.raises(UnsupportedType, match="old kind, or one with a password"):
        sniff(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), name="a.docx")


@pytest.mark.parametrize("make", [documents.png, documents.jpeg, documents.gif, documents.webp])
def test_more_than_fifty_megapixels_are_refused(make: object) -> None:
    sizes = {"width": 16_000, "height": 3_200}

    with pytest.raises(TooLarge, match="16000 x 3200"):
        sniff(make(**sizes), name="bomb.png")  # type: ignore[operator]
    assert sniff(make(width=10_000, height=5_000), name="large")  # type: ignore[operator]


def test_a_giant_png_is_refused() -> None:
    with pytest.raises(TooLarge):
        sniff(documents.png(50_000, 50_000), name="bomb.png")


def test_a_picture_without_a_size_in_sight_is_refused() -> None:
    head = documents.jpeg(metadata=600_000)[:HEAD_BYTES]

    with pytest.raises(UnsupportedType, match="size of the picture"):
        sniff(head, name="a.jpg", total_size=700_000)


def test_text_of_an_old_spreadsheet_says_what_to_do() -> None:
    with pytest.raises(UnsupportedType, match="save it as UTF-8"):
        sniff(b"caf\xe9;1,50\r\n", name="prices.csv")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        sniff(b"", name="a.txt")


def test_text_may_end_in_the_middle_of_a_character_only_if_it_goes_on() -> None:
    head = "é".encode()[:1]

    assert sniff(b"caf" + head, name="a.txt", total_size=100) == "text/plain"
    with pytest.raises(UnsupportedType):
        sniff(b"caf" + head, name="a.txt", total_size=4)


@pytest.mark.parametrize(
    ("name", "mime", "kept"),
    [
        ("a.png", "image/png", "a.png"),
        ("a.PNG", "image/png", "a.PNG"),
        ("a.png.exe", "image/png", "a.png.exe.png"),
        ("a.html", "text/plain", "a.html.txt"),
        ("a.svg", "text/plain", "a.svg.txt"),
        ("a", "application/pdf", "a.pdf"),
        (".png", "image/png", ".png.png"),
    ],
)
def test_a_name_ends_as_its_type_does(name: str, mime: str, kept: str) -> None:
    assert name_for(name, mime) == kept


@given(st.binary(max_size=4096), st.sampled_from(["", "a.txt", "a.png"]))
def test_any_bytes_are_a_listed_type_or_refused(content: bytes, name: str) -> None:
    try:
        mime = sniff(content, name=name, total_size=len(content))
    except (InvalidRequest, UnsupportedType, TooLarge):
        return
    assert name_for(name, mime)
    if mime.startswith("text/"):
        assert b"\x00" not in content or content[:2] in {b"\xff\xfe", b"\xfe\xff"}


@given(
    st.sampled_from([documents.png, documents.jpeg, documents.gif, documents.webp, documents.mp3]),
    st.data(),
)
def test_a_cut_or_broken_header_never_breaks_the_check(make: object, data: st.DataObject) -> None:
    content = bytearray(make())  # type: ignore[operator]
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    for end in range(1, len(content), 7):
        try:
            assert sniff(bytes(content[:end]), name="a") in INLINE_TYPES | {"text/plain"}
        except (UnsupportedType, TooLarge):
            continue
