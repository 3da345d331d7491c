"""The text of documents, and the process that reads them."""

import asyncio
import datetime
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pypdf
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part

from orchestrator.attachments import extraction
from orchestrator.attachments.extract_worker.readers import READERS
from orchestrator.attachments.extraction import READABLE_TYPES, Extracted, ExtractText
from orchestrator.attachments.sniffing import DOCX, PPTX, XLSX
from orchestrator.errors import TextNotReadable, TooManyRequests
from tests.fakes import documents

PDF = "application/pdf"


async def chunks_of(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


@pytest.fixture
def extract(tmp_path: Path) -> Callable[[bytes, str], Any]:
    front = ExtractText(tmp_path)

    async def run(content: bytes, mime: str) -> Extracted:
        return await front(chunks_of(content), mime=mime, name="file.x")

    return run


def saved(document: Any) -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def slow_workbook() -> bytes:
    """Two hundred thousand rows that end in the last column, and no value in any."""
    rows = "".join(f'<row r="{row}"><c r="XFD{row}"/></row>' for row in range(1, 200_000))
    return documents.zipped(documents.xlsx_parts(documents.sheet_xml(rows)))


def workers(*, min_ticks: int = 0) -> list[int]:
    """The processes that this one started to read documents and that worked for so long."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            is_worker = int(status[1]) == os.getpid() and b"extract_worker" in command
            if is_worker and int(status[11]) >= min_ticks:
                found.append(int(entry.name))
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - no event tells of processes
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "content",
    ["caffè\n東京".encode(), "\ufeffcaffè\r\n東京".encode(), "caffè\n東京".encode("utf-16")],
)
@pytest.mark.parametrize("mime", ["text/plain", "text/csv", "text/markdown", "application/json"])
async def test_text_comes_as_it_is(extract: Any, content: bytes, mime: str) -> None:
    assert await extract(content, mime) == Extracted(text="caffè\n東京")


async def test_nobody_is_told_what_he_cannot_see(extract: Any) -> None:
    content = "a\u200b\u202eb\x1b[31mc\U000e0041\tй👍\ufe0f".encode()

    assert (await extract(content, "text/plain")).text == "abc\tй👍\ufe0f"


async def test_a_long_text_is_cut_with_a_note(extract: Any) -> None:
    found = await extract(b"a" * 200_001, "text/plain")

    assert found.text == "a" * 200_000
    assert found.is_truncated
    assert found.notes == ("Only the first 200,000 characters were read: it is long.",)
    assert not (await extract(b"a" * 200_000, "text/plain")).is_truncated


async def test_a_word_file_keeps_paragraphs_and_tables_in_order(extract: Any) -> None:
    document = docx.Document()
    document.add_heading("Title")
    document.add_paragraph("One")
    table = document.add_table(2, 2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell\n{number}"
    document.add_paragraph("after\tthe tab")

    found = await extract(saved(document), DOCX)

    assert found.text == "Title\nOne\ncell 0\tcell 1\ncell 2\tcell 3\nafter\tthe tab"
    assert not found.notes


async def test_a_word_file_shows_boxes_and_insertions_but_nothing_deleted(extract: Any) -> None:
    markup = b"http://schemas.openxmlformats.org/markup-compatibility/2006"
    run = b"<w:r><w:t>%s</w:t></w:r>"
    body = (
        b"<w:sdt><w:sdtContent><w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr>"
        + run % b"form"
        + b"<w:ins>%s</w:ins><w:del>%s</w:del>" % (run % b" new", run % b" gone")
        + b"</w:p></w:sdtContent></w:sdt><w:p><mc:AlternateContent xmlns:mc='%s'>" % markup
        + b"<mc:Choice>%s</mc:Choice><mc:Fallback>%s</mc:Fallback>" % (run % b"box", run % b"box")
        + b"</mc:AlternateContent></w:p>"
    )

    content = documents.zipped(documents.docx_parts(documents.word_document(body)))
    assert (await extract(content, DOCX)).text == "form new\nbox"


async def test_a_word_file_ends_with_its_notes_headers_and_footers(extract: Any) -> None:
    document = docx.Document()
    document.add_paragraph("Body")
    for _ in range(2):
        section = document.add_section()
        section.header.is_linked_to_previous = False
        section.header.paragraphs[0].text = "Confidential"
        section.footer.paragraphs[0].text = "Page one"
    notes = (
        b"<w:footnotes xmlns:w='%s'><w:footnote><w:p><w:r><w:t>See</w:t></w:r></w:p>"
        % documents.WORD.encode()
    )
    part = Part(
        PackURI("/word/footnotes.xml"), "application/xml", notes + b"</w:footnote></w:footnotes>"
    )
    document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)

    found = await extract(saved(document), DOCX)

    assert "Body" in found.text
    assert found.text.endswith("[Footnotes]\nSee\n\n[Header]\nConfidential\n\n[Footer]\nPage one")
    assert found.text.count("Confidential") == 1
    assert not found.notes


async def test_only_so_many_headers_of_a_word_file_are_read(extract: Any) -> None:
    document = docx.Document()
    for number in range(60):
        section = document.add_section()
        section.header.is_linked_to_previous = False
        section.header.paragraphs[0].text = f"header {number}"

    found = await extract(saved(document), DOCX)

    assert found.text.count("[Header]") == 50
    assert found.notes == ("Only 50 of its 60 headers and footers were read.",)


async def test_a_workbook_becomes_rows_under_the_names_of_its_sheets(extract: Any) -> None:
    book = openpyxl.Workbook()
    first = book.worksheets[0]
    first.title = "Money"
    first.append(["a", 1, None, 2.5])
    first.append([None])
    first.append([True, datetime.datetime.fromisoformat("2026-01-02T00:00:00"), "two\nlines"])
    book.create_sheet("Empty")
    book.create_sheet("Last").append(["z"])

    found = await extract(saved(book), XLSX)

    assert found.text == (
        "[Sheet Money]\na\t1\t\t2.5\nTrue\t2026-01-02\ttwo lines\n\n"
        "[Sheet Empty]\n\n[Sheet Last]\nz"
    )


async def test_a_value_in_the_last_cell_of_all_does_not_make_a_desert(extract: Any) -> None:
    cell = '<row r="1048576"><c r="A1048576"><v>1</v></c><c r="XFD1048576"><v>7</v></c></row>'
    content = documents.zipped(documents.xlsx_parts(documents.sheet_xml(cell)))

    assert (await extract(content, XLSX)).text == "[Sheet Big]\n1\t…\t7"


async def test_a_presentation_shows_slides_with_titles_and_notes(extract: Any) -> None:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "first\nsecond"
    table = slide.shapes.add_table(1, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    slide.notes_slide.notes_text_frame.text = "say this"
    show.slides.add_slide(show.slide_layouts[0]).shapes.title.text = "End"

    found = await extract(saved(show), PPTX)

    assert found.text == (
        "[Slide 1]\nTitle: Plan\nfirst\nsecond\nleft\tright\n"
        "[Notes of slide 1]\nsay this\n\n[Slide 2]\nTitle: End"
    )


async def test_a_pdf_has_page_numbers_and_says_which_pages_are_pictures(extract: Any) -> None:
    content = documents.pdf_pages(documents.pdf_text("Hello"), b"", documents.pdf_text("Third"))

    found = await extract(content, PDF)

    assert found.text == "[Page 1]\nHello\n\n[Page 3]\nThird"
    assert found.notes == ("1 of 3 pages hold no text, perhaps only pictures.",)


async def test_a_scanned_pdf_says_so(extract: Any) -> None:
    with pytest.raises(TextNotReadable, match="probably scanned"):
        await extract(documents.pdf_pages(b"", b""), PDF)


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
async def test_a_password_is_named_but_an_empty_one_opens(extract: Any, algorithm: str) -> None:
    plain = pypdf.PdfReader(io.BytesIO(documents.pdf_pages(documents.pdf_text("Secret"))))
    files: list[bytes] = []
    for password in ("hunter2", ""):
        writer = pypdf.PdfWriter(clone_from=plain)
        writer.encrypt(password, "owner", algorithm=algorithm)
        target = io.BytesIO()
        writer.write(target)
        files.append(target.getvalue())

    with pytest.raises(TextNotReadable, match=r"file\.x: .*protected by a password"):
        await extract(files[0], PDF)
    assert (await extract(files[1], PDF)).text == "[Page 1]\nSecret"


@pytest.mark.parametrize("mime", ["image/png", "audio/mpeg", "application/zip"])
async def test_what_holds_no_text_is_refused_without_a_process(extract: Any, mime: str) -> None:
    with pytest.raises(TextNotReadable, match=mime):
        await extract(b"x", mime)


def test_front_and_worker_agree_on_what_can_be_read() -> None:
    assert frozenset(READERS) == READABLE_TYPES


async def test_cancelling_kills_the_worker_and_leaves_nothing(tmp_path: Path) -> None:
    extract = ExtractText(tmp_path)
    reading = asyncio.create_task(extract(chunks_of(slow_workbook()), mime=XLSX, name="slow.xlsx"))
    await until(lambda: bool(workers(min_ticks=5)))

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):  # it would go on for twenty seconds
            await reading

    assert not workers()
    assert not list(tmp_path.iterdir())


async def test_a_worker_that_dies_is_a_document_too_large(extract: Any) -> None:
    reading = asyncio.create_task(extract(slow_workbook(), XLSX))
    await until(lambda: bool(workers()))

    os.kill(workers()[0], signal.SIGKILL)

    with pytest.raises(TextNotReadable, match="too much memory or time"):
        await reading


@pytest.mark.parametrize(
    "reply",
    [b"", b"null", b"{}", b'{"text": 1}', b'{"text": "a", "more": 1}', b'{"text": "a"', b"\xff"],
)
def test_a_reply_of_another_form_is_not_believed(reply: bytes) -> None:
    with pytest.raises(TextNotReadable, match="too much memory or time"):
        extraction._judged(reply, "file.x")


async def test_a_worker_over_its_time_is_killed(
    extract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "WALL_LIMIT_S", 0.5)

    with pytest.raises(TextNotReadable, match="too long"):
        await extract(slow_workbook(), XLSX)
    assert not workers()


async def test_two_read_some_wait_and_the_rest_are_sent_away(tmp_path: Path) -> None:
    extract = ExtractText(tmp_path)
    slow = slow_workbook()

    async def read_slowly() -> Extracted:
        return await extract(chunks_of(slow), mime=XLSX, name="slow.xlsx")

    async def read_quickly() -> Extracted:
        return await extract(chunks_of(b"quick"), mime="text/plain", name="quick.txt")

    busy = [asyncio.create_task(read_slowly()) for _ in range(extraction.MAX_WORKERS)]
    await until(lambda: len(workers()) == extraction.MAX_WORKERS)
    waiting = [asyncio.create_task(read_quickly()) for _ in range(extraction.MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await read_quickly()
    done, _ = await asyncio.wait(waiting, timeout=1)
    assert not done
    assert len(workers()) == extraction.MAX_WORKERS

    busy.pop().cancel()
    assert {(await task).text for task in waiting} == {"quick"}
    busy.pop().cancel()
    await until(lambda: not workers())
    assert (await read_quickly()).text == "quick"


async def test_a_worker_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-secret")
    extract = ExtractText(tmp_path)
    reading = asyncio.create_task(extract(chunks_of(slow_workbook()), mime=XLSX, name="slow.xlsx"))

    await until(lambda: bool(workers()))
    environment = Path(f"/proc/{workers()[0]}/environ").read_bytes()
    reading.cancel()
    await asyncio.wait([reading])

    assert b"PYTHONPATH" in environment
    assert b"sk-secret" not in environment


def test_the_orchestrator_imports_no_reader() -> None:
    code = (
        "import sys, orchestrator.app, orchestrator.attachments.extraction\n"
        "print({'pypdf', 'docx', 'openpyxl', 'pptx', 'PIL', 'lxml'} & set(sys.modules))"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert answer.stdout == b"set()\n"
