"""The owner's JSON documents in the data folder, as one whole that several processes may change."""

import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.domain.model_settings import ModelSettings
from orchestrator.domain.presets import PresetsDocument, SuggestionsDocument
from orchestrator.domain.servers import ServersDocument
from orchestrator.store.json_file import (
    Document,
    finish_replacement,
    read_json_document,
    replace_json_documents,
    set_aside,
    why,
    write_json_document,
)

logger = logging.getLogger(__name__)

_LOCK = ".documents.lock"


@dataclass(frozen=True, slots=True)
class Contents:
    """What the documents say; each field is the file of that name."""

    model_settings: ModelSettings = field(default_factory=ModelSettings)
    mcp_servers: ServersDocument = field(default_factory=ServersDocument)
    presets: PresetsDocument = field(default_factory=PresetsDocument)
    suggestions: SuggestionsDocument = field(default_factory=SuggestionsDocument)


_MODELS: dict[str, type[BaseModel]] = {
    "model_settings": ModelSettings,
    "mcp_servers": ServersDocument,
    "presets": PresetsDocument,
    "suggestions": SuggestionsDocument,
}
Stamp = dict[str, tuple[int, int, int] | None]
"""What tells whether a file is still the same: inode, time and size."""


class DocumentFolder:
    """Reads and replaces the documents. Hold `locked()` from reading until replacing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where the document called `name` is, a field of Contents."""
        return self.folder / f"{name}.json"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other processes from changing the documents; a person's editor does not ask."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Contents:
        """Return all documents, after completing what a crash interrupted.

        A corrupt one is set aside, and its last good copy is used.
        """
        finish_replacement(self.folder)
        return Contents(
            model_settings=self._read("model_settings", ModelSettings()),
            mcp_servers=self._read("mcp_servers", ServersDocument()),
            presets=self._read("presets", PresetsDocument()),
            suggestions=self._read("suggestions", SuggestionsDocument()),
        )

    def read_again(self, known: Contents) -> tuple[Contents, list[str]]:
        """Return the documents as they are now, and in sentences which of them could not be used.

        A document that is gone counts as it was, and a corrupt one is set aside: in both cases
        what `known` holds is written back.
        """
        finish_replacement(self.folder)
        problems: list[str] = []
        for name, model in _MODELS.items():
            path, before = self.path(name), getattr(known, name)
            try:
                found = model.model_validate_json(path.read_bytes())
            except FileNotFoundError:
                if before != model():
                    write_json_document(path, before)
                continue
            except ValidationError as error:
                aside = set_aside(path, error)
                write_json_document(path, before)
                problems.append(
                    f"{path.name} was not taken over ({why(error)}). It is kept as {aside.name}; "
                    "what was in force stays in force."
                )
                continue
            known = replace(known, **{name: found})
        return known, problems

    def glance(self, known: Contents | None = None) -> tuple[Contents, dict[str, str]]:
        """Return what the files say now, and of those that cannot be used why; changes nothing.

        A document that is gone or cannot be used counts as in `known`.
        """
        found, problems = known or Contents(), dict[str, str]()
        for name, model in _MODELS.items():
            try:
                document = model.model_validate_json(self.path(name).read_bytes())
            except FileNotFoundError:
                continue
            except ValidationError as error:
                problems[name] = why(error)
            except OSError as error:
                problems[name] = error.strerror or str(error)
            else:
                found = replace(found, **{name: document})
        return found, problems

    def replace(self, old: Contents, new: Contents) -> None:
        """Write the documents that differ: all of them or none."""
        changed: dict[str, Any] = {
            part.name: getattr(new, part.name)
            for part in fields(Contents)
            if getattr(new, part.name) != getattr(old, part.name)
        }
        if changed:
            by_file = {self.path(name).name: document for name, document in changed.items()}
            replace_json_documents(self.folder, by_file)

    def stamp(self) -> Stamp:
        """Return what changes when somebody writes one of the files."""
        return {name: _stamp(self.path(name)) for name in _MODELS}

    def _read(self, name: str, default: Document) -> Document:
        return read_json_document(self.path(name), type(default), default)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
