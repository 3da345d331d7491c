"""JSON documents a person may edit: validated on read, replaced atomically, last good copy kept."""

import json
import logging
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.domain.times import utc_now

logger = logging.getLogger(__name__)

Document = TypeVar("Document", bound=BaseModel)
PENDING = ".pending-replacement.json"
"""Lists the drafts that are to take the place of documents; it exists while they do."""


def read_json_document(path: Path, model: type[Document], default: Document) -> Document:
    """Return the document at `path`, or `default` when there is none.

    A file that cannot be read as `model` is renamed to `<name>.corrupt-<time>`, which is logged,
    and the last good copy (`<name>.bak`) takes its place, or else `default` is used.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return default
    except ValidationError as error:
        set_aside(path, error)
        return _last_good(path, model, default)


def set_aside(path: Path, error: ValidationError) -> Path:
    """Rename a document that cannot be read, log it, and return its new path."""
    aside = path.with_name(f"{path.name}.corrupt-{utc_now():%Y%m%dT%H%M%S%f}")
    path.rename(aside)
    logger.error("json_document_corrupt path=%s set_aside=%s why=%s", path, aside, why(error))
    return aside


def why(error: ValidationError) -> str:
    """Return which field is wrong and how, in a few words."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    return f"{where}: {first['msg']}"


def write_json_document(path: Path, document: BaseModel) -> None:
    """Replace the file at `path` so that a crash or power cut leaves the old or the new text.

    The text before is kept as `<name>.bak`. The file is readable by its owner only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _keep_backup(path)
    _replace(path, document_bytes(document))


def replace_json_documents(folder: Path, documents: Mapping[str, BaseModel]) -> None:
    """Replace several files of `folder`, by name: all of them or none, also after a crash.

    Whatever needs space is written before anything changes; from then on there are only renames,
    which `finish_replacement` completes if this process dies among them.
    """
    if len(documents) == 1:
        for name, document in documents.items():
            write_json_document(folder / name, document)
        return
    folder.mkdir(parents=True, exist_ok=True)
    drafts: dict[str, str] = {}
    try:
        for name, document in documents.items():
            _keep_backup(folder / name)
            drafts[_draft(folder / name, document_bytes(document)).name] = name
        _replace(folder / PENDING, json.dumps(drafts).encode())
    except BaseException:
        if not (folder / PENDING).exists():
            for draft in drafts:
                (folder / draft).unlink(missing_ok=True)
        raise
    finish_replacement(folder)


def finish_replacement(folder: Path) -> None:
    """Complete a replacement of several documents that a crash interrupted; call it at start."""
    pending = folder / PENDING
    try:
        drafts: dict[str, str] = json.loads(pending.read_bytes())
    except FileNotFoundError:
        return
    for draft, name in drafts.items():
        if (folder / draft).exists():
            (folder / draft).replace(folder / name)
    _sync_folder(folder)
    pending.unlink()
    _sync_folder(folder)


def document_bytes(document: BaseModel) -> bytes:
    """Return the text of a document as it is written."""
    text = json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False)
    return text.encode() + b"\n"


def _last_good(path: Path, model: type[Document], default: Document) -> Document:
    backup = path.with_name(path.name + ".bak")
    try:
        document = model.model_validate_json(backup.read_bytes())
    except FileNotFoundError:
        return default
    except ValidationError as error:
        logger.error("json_document_backup_corrupt path=%s why=%s", backup, why(error))  # noqa: TRY400
        return default
    _replace(path, backup.read_bytes())
    return document


def _keep_backup(path: Path) -> None:
    """Let the present text live on under another name: it is on the disk, so nothing is written."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        os.link(path, draft)
    except FileNotFoundError:
        return
    try:
        draft.replace(path.with_name(path.name + ".bak"))
    finally:
        # Also left over when both names were the same file already.
        draft.unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    draft = _draft(path, data)
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _draft(path: Path, data: bytes) -> Path:
    """Write `data`, down to the disk, to a new file beside `path`."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Path(temporary)


def _sync_folder(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
