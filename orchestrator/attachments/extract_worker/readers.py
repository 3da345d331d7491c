"""Which reader reads which type; a library is imported when it is needed."""

import codecs
from collections.abc import Callable
from typing import BinaryIO

from orchestrator.attachments.extract_worker.office import read_docx, read_pptx
from orchestrator.attachments.extract_worker.sink import TextSink, Unreadable
from orchestrator.attachments.sniffing import DOCX, PPTX, XLSX

_READ_CHARS = 32 * 1024


def _read_text(file: BinaryIO, sink: TextSink) -> None:
    head = file.read(2)
    file.seek(0)
    is_wide = head in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    reader = codecs.getreader("utf-16" if is_wide else "utf-8-sig")(file)
    try:
        while text := reader.read(_READ_CHARS, _READ_CHARS):
            sink.add(text)
    except UnicodeDecodeError as error:
        raise Unreadable("It is not text in UTF-8 throughout.") from error
    if sink.is_empty:
        raise Unreadable("It holds no text.")


def _read_pdf(file: BinaryIO, sink: TextSink) -> None:
    from orchestrator.attachments.extract_worker.pdf import (  # noqa: PLC0415 - slow to import
        read_pdf,
    )

    read_pdf(file, sink)


def _read_xlsx(file: BinaryIO, sink: TextSink) -> None:
    from orchestrator.attachments.extract_worker.sheets import (  # noqa: PLC0415 - slow to import
        read_xlsx,
    )

    read_xlsx(file, sink)


READERS: dict[str, Callable[[BinaryIO, TextSink], None]] = {
    "text/plain": _read_text,
    "text/markdown": _read_text,
    "text/csv": _read_text,
    "application/json": _read_text,
    "application/pdf": _read_pdf,
    DOCX: read_docx,
    XLSX: _read_xlsx,
    PPTX: read_pptx,
}
