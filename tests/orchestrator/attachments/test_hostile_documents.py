"""Bombs, loops and broken files: each ends in a sentence or in what could be read of it."""

import asyncio
import functools
import io
import random
import re
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.attachments.extract_worker import __main__ as worker
from orchestrator.attachments.extract_worker.confinement import TimeUp
from orchestrator.attachments.extract_worker.sink import MAX_CHARS, TextSink
from orchestrator.attachments.extraction import Extracted, ExtractText
from orchestrator.attachments.sniffing import DOCX, PPTX, XLSX
from orchestrator.errors import TextNotReadable
from tests.fakes import documents

PDF = "application/pdf"
MAX_GROWTH_KB = 50 * 1024
PARAGRAPH = b"<w:p><w:r><w:t>word</w:t></w:r></w:p>"
LAUGHS = (
    b"<!DOCTYPE l [<!ENTITY a 'ha'>"
    + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(12))
    + b"]>"
)
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
ONE_PAGE = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"


def word(body: bytes, *, prolog: bytes = b"", **more: bytes) -> bytes:
    return documents.zipped(
        documents.docx_parts(documents.word_document(body, prolog=prolog)) | more
    )


def sheet(rows: str) -> bytes:
    return documents.zipped(documents.xlsx_parts(documents.sheet_xml(rows)))


def nested_zips() -> bytes:
    inner = documents.zipped({"a": bytes(1 << 20)})
    for _ in range(3):
        inner = documents.zipped({f"{number}.zip": inner for number in range(16)})
    return word(PARAGRAPH, **{"word/media/42.zip": inner})


def lying_size() -> bytes:
    """A part that declares one byte and unpacks to fifty million."""
    part = documents.word_document(b"<w:p><w:r><w:t>" + bytes(50_000_000).replace(b"\0", b"a"))
    content = bytearray(documents.zipped(documents.docx_parts(part)))
    size = len(part).to_bytes(4, "little")
    assert content.count(size) == 2
    return bytes(content.replace(size, (1).to_bytes(4, "little")))


def same_bytes_many_times() -> bytes:
    """A directory whose ten thousand entries share one part."""
    one = documents.zipped({"word/document.xml": bytes(1 << 20)})
    start = one.rindex(b"PK\x01\x02")
    end = one.rindex(b"PK\x05\x06")
    entries = 9_000
    directory = one[start:end] * entries
    counts = (entries).to_bytes(2, "little") * 2
    tail = one[end : end + 8] + counts + len(directory).to_bytes(4, "little")
    return one[:start] + directory + tail + start.to_bytes(4, "little") + b"\0\0"


def endless_numbers() -> bytes:
    dice = random.Random(6)
    rows = (
        f'<row r="{row}"><c r="A{row}"><v>{dice.getrandbits(48)}</v></c></row>'
        for row in range(1, 200_000)
    )
    return sheet("".join(rows))


def deflated_page() -> bytes:
    content = zlib.compress(bytes(300_000_000), 9)
    page = b"<</Type/Page/Parent 2 0 R/Contents 4 0 R>>"
    return documents.pdf(CATALOG, ONE_PAGE, page, documents.stream(content, b"/Filter/FlateDecode"))


def many_objects() -> bytes:
    page = b"<</Type/Page/Parent 2 0 R>>"
    return documents.pdf(CATALOG, ONE_PAGE, page, *(b"[%d 0 R]" % n for n in range(100_000)))


def deep_arrays() -> bytes:
    page = b"<</Type/Page/Parent 2 0 R/Contents " + b"[" * 1_000_000 + b">>"
    return documents.pdf(CATALOG, ONE_PAGE, page)


def looping_table() -> bytes:
    """A PDF whose table of objects names itself as the one before it."""
    content = documents.pdf_pages(documents.pdf_text("A"))
    start = re.findall(rb"startxref\n(\d+)", content)[0]
    return content.replace(b"trailer\n<<", b"trailer\n<</Prev %s" % start)


BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "docx, 1:1000": (DOCX, lambda: word(b"<w:p>" + b"a" * 50_000_000), "unpacks to 48 MB from"),
    "docx, lying": (DOCX, lying_size, "damaged"),
    "docx, overlapping": (DOCX, same_bytes_many_times, "unpacks to 9,000 MB"),
    "docx, laughs": (DOCX, lambda: word(b"&m;", prolog=LAUGHS), "declares XML entities"),
    "docx, laughs elsewhere": (
        DOCX,
        lambda: word(PARAGRAPH, **{"word/evil.bin": LAUGHS + b"<a/>"}),
        "declares XML entities",
    ),
    "docx, wide laughs": (
        DOCX,
        lambda: word(PARAGRAPH, **{"word/a": (LAUGHS + b"<a>&m;</a>").decode().encode("utf-16")}),
        "declares XML entities",
    ),
    "docx, entries": (
        DOCX,
        lambda: word(PARAGRAPH, **{f"word/{number}": b"" for number in range(10_001)}),
        "10,004 parts",
    ),
    "docx, deep": (DOCX, lambda: word(b"<w:p>" * 150_000), "damaged"),
    "docx, cut": (DOCX, lambda: word(PARAGRAPH)[:-30], "damaged"),
    "docx, no office": (DOCX, lambda: documents.zipped({"word/a": b""}), "no Office file"),
    "docx, no zip": (DOCX, lambda: b"PK\x03\x04" + bytes(1000), "damaged"),
    "pptx, no slides": (PPTX, lambda: word(PARAGRAPH), "no slides"),
    "pdf, its own child": (
        PDF,
        lambda: documents.pdf(CATALOG, b"<</Type/Pages/Count 9/Kids[2 0 R 2 0 R]>>"),
        "cannot be read|damaged",
    ),
    "pdf, deflated": (PDF, deflated_page, "scanned|too large"),
    "pdf, many objects": (PDF, many_objects, "scanned"),
    "pdf, deep": (PDF, deep_arrays, "damaged|memory"),
    "pdf, cut": (PDF, lambda: documents.pdf_pages(b"")[:-300], "damaged|scanned"),
    "pdf, random": (PDF, lambda: b"%PDF-1.7\n" + random.Random(6).randbytes(500_000), "damaged"),
    "text, broken": ("text/plain", lambda: b"\xff" * 1000, "not text in UTF-8"),
}
LONG: dict[str, tuple[str, Callable[[], bytes], str, bool]] = {
    "docx, nested zips": (DOCX, nested_zips, "word", False),
    "xlsx, rows": (XLSX, endless_numbers, r"\[Sheet Big\]\n\d+\n\d+", True),
    "xlsx, far cell": (
        XLSX,
        lambda: sheet('<row r="1048576"><c r="XFD1048576"><v>7</v></c></row>'),
        "…\t7",
        False,
    ),
    "pdf, calls itself": (
        PDF,
        lambda: documents.pdf_pages(documents.pdf_text("A") + b" /X Do"),
        "A",
        False,
    ),
    "pdf, looping table": (PDF, looping_table, "A", False),
    "text": ("text/plain", lambda: b"a" * 20_000_000, "a", True),
}


def memory_kb(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


async def read(path: Path, mime: str) -> Extracted:
    """Extract from a file, and check by how much this process grew meanwhile."""

    async def chunks() -> AsyncIterator[bytes]:
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, 256 * 1024):
                yield chunk

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory_kb("VmRSS")
    try:
        return await ExtractText(path.parent)(chunks(), mime=mime, name=path.name)
    finally:
        assert memory_kb("VmHWM") - before < MAX_GROWTH_KB


@pytest.mark.parametrize("name", BOMBS)
async def test_what_cannot_be_read_ends_in_a_sentence(name: str, tmp_path: Path) -> None:
    mime, make, reason = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())

    with pytest.raises(TextNotReadable, match=f"^bomb: It .*(?:{reason})|^bomb: No.*{reason}"):
        await read(path, mime)


@pytest.mark.parametrize("name", LONG)
async def test_what_is_long_or_loops_is_read_as_far_as_it_goes(name: str, tmp_path: Path) -> None:
    mime, make, start, is_truncated = LONG[name]
    path = tmp_path / "long"
    path.write_bytes(make())

    found = await read(path, mime)

    assert re.search(start, found.text[:1000])
    assert found.is_truncated == is_truncated
    assert len(found.text) <= MAX_CHARS


@pytest.mark.parametrize(
    ("failure", "without_text", "with_text"),
    [
        (MemoryError, "It needs too much memory to be read.", "it needs too much memory"),
        (RecursionError, "It needs too much memory to be read.", "it needs too much memory"),
        (TimeUp, "It takes too long to read.", "it takes too long to read"),
        (KeyError, "It is damaged and cannot be read.", "it is damaged there"),
    ],
)
def test_what_was_read_before_a_failure_is_kept(
    failure: type[BaseException], without_text: str, with_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(file: io.BytesIO, sink: TextSink) -> None:
        sink.place = "up to page 2 of 9"
        sink.add(file.read().decode())
        raise failure

    monkeypatch.setitem(worker.READERS, PDF, read)

    assert worker._reply(io.BytesIO(b"\n"), PDF)["error"] == without_text
    assert worker._reply(io.BytesIO(b"some"), PDF) == {
        "text": "some",
        "notes": [f"Only the first 4 characters were read (up to page 2 of 9): {with_text}."],
        "is_truncated": True,
    }


@functools.cache
def sound_documents() -> dict[str, bytes]:
    return {
        PDF: documents.pdf_pages(documents.pdf_text("Hello"), documents.pdf_text("you")),
        DOCX: word(PARAGRAPH * 3),
        XLSX: sheet('<row r="1"><c r="A1"><v>7</v></c></row>'),
        PPTX: word(PARAGRAPH),
        "text/plain": "caffè".encode(),
    }


def check_reply(mime: str, content: bytes) -> None:
    reply = worker._reply(io.BytesIO(content), mime)

    if "error" in reply:
        assert re.fullmatch(r"(?:It|No) .*\.", reply["error"])
    else:
        assert len(reply["text"]) <= MAX_CHARS


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(sound_documents())), st.binary(max_size=2000))
def test_random_bytes_never_crash_a_reader(mime: str, content: bytes) -> None:
    start = {PDF: b"%PDF-1.7\n", "text/plain": b""}.get(mime, b"PK\x03\x04")

    check_reply(mime, start + content)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(sound_documents())), st.data())
def test_one_broken_or_missing_part_never_crashes_a_reader(mime: str, data: st.DataObject) -> None:
    content = bytearray(sound_documents()[mime])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))

    check_reply(mime, bytes(content if data.draw(st.booleans()) else content[:cut]))
