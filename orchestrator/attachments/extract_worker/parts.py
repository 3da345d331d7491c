"""Office files as zips of XML parts: checked before they are opened, streamed, never expanded."""

import posixpath
import zipfile
from collections.abc import Callable
from typing import IO, BinaryIO
from xml.parsers import expat

from orchestrator.attachments.extract_worker.sink import Unreadable

MAX_ENTRIES = 10_000
MAX_EXPANDED_BYTES = 256 * 1024 * 1024
MAX_RATIO = 100
_RATIO_FROM_BYTES = 4 * 1024 * 1024
"""Below this size any ratio is harmless, and empty forms reach high ones honestly."""
_CHUNK_BYTES = 256 * 1024
_IS_ENCRYPTED = 1
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"

Attributes = dict[str, str]


class _PastProlog(Exception):
    """The first element starts: no document type can follow."""


def open_parts(file: BinaryIO) -> zipfile.ZipFile:
    """Return the checked zip. Raises Unreadable for bombs, entities, passwords and no Office."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Unreadable("It is damaged and cannot be read.") from error
    entries = archive.infolist()
    expanded = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise Unreadable(f"It has {len(entries):,} parts; {MAX_ENTRIES:,} is the limit.")
    is_bomb = expanded > _RATIO_FROM_BYTES and expanded > MAX_RATIO * packed
    if expanded > MAX_EXPANDED_BYTES or is_bomb:
        sizes = f"{expanded / 2**20:,.0f} MB from {packed / 2**20:,.1f} MB"
        raise Unreadable(f"It unpacks to {sizes}, which is too much.")
    if any(entry.flag_bits & _IS_ENCRYPTED for entry in entries):
        raise Unreadable("It is protected by a password; attach it without one.")
    for entry in entries:
        _refuse_document_type(archive, entry)
    return archive


def main_part(archive: zipfile.ZipFile) -> str:
    """Return the name of the part that the others hang on."""
    for kind, target in relationships(archive, "").values():
        if kind == "officeDocument" and target in archive.namelist():
            return target
    raise Unreadable("It is an archive, but no Office file.")


def relationships(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Return kind and target of each relationship of `part` by id; only those inside the file."""
    folder, name = posixpath.split(part)
    found: dict[str, tuple[str, str]] = {}

    def on_start(element: str, attributes: Attributes) -> None:
        if element == f"{_RELATIONSHIPS} Relationship" and "TargetMode" not in attributes:
            kind = attributes.get("Type", "").rpartition("/")[2]
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
            found[attributes.get("Id", "")] = (kind, target.lstrip("/"))

    parse_part(archive, posixpath.join(folder, "_rels", f"{name}.rels"), on_start=on_start)
    return found


def parse_part(
    archive: zipfile.ZipFile,
    name: str,
    *,
    on_start: Callable[[str, Attributes], None],
    on_end: Callable[[str], None] | None = None,
    on_text: Callable[[str], None] | None = None,
) -> None:
    """Parse the part `name`, if there is one; elements are named `namespace local`."""
    try:
        stream = archive.open(name)
    except KeyError:
        return
    parser = _parser()
    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.CharacterDataHandler = on_text
    with stream:
        _feed(parser, stream)


def _refuse_document_type(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Whatever a part is called: if an XML parser could find entities in it, refuse the file."""
    parser = _parser()
    parser.StartElementHandler = _stop
    try:
        with archive.open(entry) as stream:
            _feed(parser, stream)
    except (_PastProlog, expat.ExpatError):
        return  # no document type, or no XML: what needs it as XML will say so


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _feed(parser: expat.XMLParserType, stream: IO[bytes]) -> None:
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise Unreadable("It is damaged and cannot be read.") from error


def _refuse(*_declaration: object) -> None:
    raise Unreadable("It declares XML entities, which no Office program does.")


def _stop(*_element: object) -> None:
    raise _PastProlog
