"""XLSX: the stored values of each sheet, a row a line, with tabs between the cells."""

import datetime
import re
from typing import BinaryIO

from openpyxl import load_workbook

from orchestrator.attachments.extract_worker.parts import main_part, open_parts
from orchestrator.attachments.extract_worker.sink import TextSink, Unreadable

_GAP = re.compile(r"\t{33,}")
"""More empty cells in a row than a table has: one value in the last of 16,384 columns."""
_MIDNIGHT = datetime.time()


def read_xlsx(file: BinaryIO, sink: TextSink) -> None:
    """Put the sheets of a workbook into `sink`; empty rows are left out."""
    with open_parts(file) as archive:
        main_part(archive)
    file.seek(0)
    book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    for sheet in book.worksheets:
        sink.place = f"up to sheet {sheet.title!r}"
        sink.add(f"[Sheet {sheet.title}]\n")
        # What a sheet declares as its size is believed by nobody: cells are read as they come.
        sheet.reset_dimensions()
        for row in sheet.iter_rows(values_only=True):
            line = _GAP.sub("\t…\t", "\t".join(map(_shown, row)).rstrip("\t"))
            if line:
                sink.add(f"{line}\n")
        sink.add("\n")
    if sink.is_empty:
        raise Unreadable("It has no sheets.")


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime) and value.time() == _MIDNIGHT:
        value = value.date()
    return " ".join(str(value).split())
