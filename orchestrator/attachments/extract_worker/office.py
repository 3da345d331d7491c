"""DOCX and PPTX: their text in order, streamed from the XML parts.

Streaming keeps the memory flat whatever the size, and finds what sits in content controls, text
boxes and tracked insertions, which the usual libraries pass over.
"""

import zipfile
from typing import BinaryIO

from orchestrator.attachments.extract_worker.parts import (
    Attributes,
    main_part,
    open_parts,
    parse_part,
    relationships,
)
from orchestrator.attachments.extract_worker.sink import TextSink, Unreadable

_NAMESPACES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.openxmlformats.org/drawingml/2006/main": "a",
    "http://purl.oclc.org/ooxml/drawingml/main": "a",
    "http://schemas.openxmlformats.org/presentationml/2006/main": "p",
    "http://purl.oclc.org/ooxml/presentationml/main": "p",
    "http://schemas.openxmlformats.org/officeDocument/2006/math": "m",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
}
_IDS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships id",
    "http://purl.oclc.org/ooxml/officeDocument/relationships id",
)
# Properties hold tab stops and the like; a fallback repeats its choice; what was deleted is gone.
_SKIPPED = frozenset({"w:pPr", "a:pPr", "mc:Fallback", "w:del", "w:moveFrom"})
_TEXTS = frozenset({"w:t", "a:t", "m:t"})
_CELLS = frozenset({"w:tc", "a:tc"})
_ROWS = frozenset({"w:tr", "a:tr"})
_PARAGRAPHS = frozenset({"w:p", "a:p"})
_SIGNS = {"w:tab": "\t", "w:br": "\n", "w:cr": "\n", "a:br": "\n", "w:noBreakHyphen": "-"}
_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"sldNum", "dt", "ftr", "hdr"})
_MARGINS = {
    "footnotes": "Footnotes",
    "endnotes": "Endnotes",
    "header": "Header",
    "footer": "Footer",
}
_ORDER = tuple(_MARGINS)
_MAX_MARGINS = 50
"""Every section of a document may have six of its own."""
_FLUSH_CHARS = 8192


def read_docx(file: BinaryIO, sink: TextSink) -> None:
    """Put the paragraphs and tables of a Word file into `sink`, then what stands around them."""
    with open_parts(file) as archive:
        document = main_part(archive)
        _TextWalk(sink).walk(archive, document)
        _read_margins(archive, document, sink)
    if sink.is_empty:
        raise Unreadable("It holds no text.")


def read_pptx(file: BinaryIO, sink: TextSink) -> None:
    """Put the slides of a presentation with their notes into `sink`."""
    with open_parts(file) as archive:
        slides = _slides(archive)
        for number, slide in enumerate(slides, 1):
            sink.place = f"up to slide {number} of {len(slides)}"
            sink.add(f"[Slide {number}]\n")
            _TextWalk(sink).walk(archive, slide)
            for kind, target in relationships(archive, slide).values():
                if kind == "notesSlide":
                    sink.add(f"[Notes of slide {number}]\n")
                    _TextWalk(sink).walk(archive, target)
            sink.add("\n")
    if sink.is_empty:
        raise Unreadable("It has no slides.")


def _read_margins(archive: zipfile.ZipFile, document: str, sink: TextSink) -> None:
    """Put each text of headers, footers and notes into `sink` once, however often it is used."""
    found = dict.fromkeys(relationships(archive, document).values())
    margins = [(kind, target) for kind, target in found if kind in _MARGINS]
    shown: set[str] = set()
    for kind, target in sorted(margins, key=lambda margin: _ORDER.index(margin[0]))[:_MAX_MARGINS]:
        part = TextSink()
        _TextWalk(part).walk(archive, target)
        if part.text.strip() and part.text not in shown:
            shown.add(part.text)
            sink.add(f"\n[{_MARGINS[kind]}]\n{part.text}\n")
    if len(margins) > _MAX_MARGINS:
        sink.notes.append(
            f"Only {_MAX_MARGINS} of its {len(margins)} headers and footers were read."
        )


def _slides(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the slides in the order they are shown."""
    presentation = main_part(archive)
    targets = relationships(archive, presentation)
    slides: list[str] = []

    def on_start(element: str, attributes: Attributes) -> None:
        if _short(element) == "p:sldId":
            ids = (attributes.get(name, "") for name in _IDS)
            slides.extend(targets[each][1] for each in ids if each in targets)

    parse_part(archive, presentation, on_start=on_start)
    return slides


def _short(element: str) -> str:
    namespace, _, local = element.rpartition(" ")
    return f"{_NAMESPACES.get(namespace, '')}:{local}"


class _TextWalk:
    """Follows the elements of one part and writes the text among them."""

    def __init__(self, sink: TextSink) -> None:
        self._sink = sink
        self._line: list[str] = []
        self._line_length = 0
        self._skipped_depth = 0
        self._text_depth = 0
        self._cell_depth = 0
        self._is_first_cell = True
        self._has_gap = False
        self._is_furniture = False

    def walk(self, archive: zipfile.ZipFile, part: str) -> None:
        parse_part(archive, part, on_start=self._start, on_end=self._end, on_text=self._add_if_text)
        self._flush()

    def _start(self, element: str, attributes: Attributes) -> None:
        name = _short(element)
        if self._skipped_depth or name in _SKIPPED:
            self._skipped_depth += 1
        elif name in _TEXTS:
            self._text_depth += 1
        elif name in _CELLS:
            self._start_cell()
        elif name in _SIGNS:
            self._break(_SIGNS[name])
        elif name == "p:ph":
            kind = attributes.get("type", "")
            self._is_furniture = kind in _FURNITURE
            self._add("Title: " if kind in _TITLES else "")

    def _end(self, element: str) -> None:
        name = _short(element)
        if self._skipped_depth:
            self._skipped_depth -= 1
        elif name in _TEXTS:
            self._text_depth -= 1
        elif name in _PARAGRAPHS:
            self._break("\n")
        elif name in _CELLS:
            self._cell_depth -= 1
            self._has_gap = self._cell_depth > 0
        elif name in _ROWS:
            self._break("\n")
            self._is_first_cell = True
        elif name == "p:sp":
            self._is_furniture = False

    def _add_if_text(self, text: str) -> None:
        if self._text_depth and not self._skipped_depth:
            self._add(text)

    def _start_cell(self) -> None:
        if not self._cell_depth:
            self._add("" if self._is_first_cell else "\t")
            self._is_first_cell = False
        self._cell_depth += 1

    def _break(self, sign: str) -> None:
        """Add a break or a tab; inside a cell it is one space between two words."""
        if self._cell_depth:
            self._has_gap = True
        else:
            self._add(sign)

    def _add(self, text: str) -> None:
        if self._is_furniture:
            return
        if self._has_gap:
            self._line.append(" ")
        self._has_gap = False
        self._line.append(text)
        self._line_length += len(text)
        if self._line_length > _FLUSH_CHARS:
            self._flush()

    def _flush(self) -> None:
        text, self._line, self._line_length = "".join(self._line), [], 0
        self._sink.add(text)
