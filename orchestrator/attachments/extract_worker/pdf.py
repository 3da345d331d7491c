"""PDF: page by page, with page numbers."""

from typing import BinaryIO

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from orchestrator.attachments.extract_worker.sink import TextSink, Unreadable


def read_pdf(file: BinaryIO, sink: TextSink) -> None:
    """Put the text of every page into `sink`. Raises Unreadable when there is none."""
    try:
        pages = _opened(file).pages
        count = len(pages)
    except PyPdfError as error:
        raise Unreadable("It is damaged and cannot be read.") from error
    empty = damaged = 0
    for number in range(1, count + 1):
        sink.place = f"up to page {number} of {count}"
        # What pypdf raises on broken pages is not of one kind; the other pages are worth reading.
        try:
            text = pages[number - 1].extract_text()
        except Exception:  # noqa: BLE001 - the reply tells of it
            damaged += 1
            continue
        if text.strip():
            sink.add(f"[Page {number}]\n{text.strip()}\n\n")
        else:
            empty += 1
    if damaged:
        sink.notes.append(f"{damaged} of {count} pages are damaged or too large and were left out.")
    if sink.is_empty and damaged:
        raise Unreadable("It is damaged, or too large to be read.")
    if sink.is_empty:
        raise Unreadable(
            f"No text is on its pages ({count}); they are probably scanned pictures."
            if count
            else "It has no pages."
        )
    if empty:
        sink.notes.append(f"{empty} of {count} pages hold no text, perhaps only pictures.")


def _opened(file: BinaryIO) -> PdfReader:
    reader = PdfReader(file)
    try:
        # Many are encrypted only against changes: an empty password opens those.
        is_open = not reader.is_encrypted or bool(reader.decrypt(""))
    except (DependencyError, NotImplementedError) as error:
        raise Unreadable("It is encrypted in a way that cannot be read.") from error
    if not is_open:
        raise Unreadable("It is protected by a password; attach it without one.")
    return reader
