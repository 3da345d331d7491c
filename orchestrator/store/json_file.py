"""JSON documents a person may edit: validated on read, replaced atomically, last good copy kept."""

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.domain.times import utc_now

logger = logging.getLogger(__name__)

Document = TypeVar("Document", bound=BaseModel)


def read_json_document(path: Path, model: type[Document], default: Document) -> Document:
    """Return the document at `path`, or `default` when there is none.

    A file that cannot be read as `model` is renamed to `<name>.corrupt-<time>`, which is logged,
    and the last good copy (`<name>.bak`) or `default` is used.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return default
    except ValidationError as error:
        aside = path.with_name(f"{path.name}.corrupt-{utc_now():%Y%m%dT%H%M%S%f}")
        path.rename(aside)
        logger.error("json_document_corrupt path=%s set_aside=%s why=%s", path, aside, _why(error))  # noqa: TRY400
        return _last_good(path, model, default)


def write_json_document(path: Path, document: BaseModel) -> None:
    """Replace the file at `path` so that a crash or power cut leaves the old or the new text.

    The text before is kept as `<name>.bak`. The file is readable by its owner only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        _replace(path.with_name(path.name + ".bak"), path.read_bytes())
    text = json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False)
    _replace(path, text.encode() + b"\n")


def _last_good(path: Path, model: type[Document], default: Document) -> Document:
    backup = path.with_name(path.name + ".bak")
    try:
        return model.model_validate_json(backup.read_bytes())
    except FileNotFoundError:
        return default
    except ValidationError as error:
        logger.error("json_document_backup_corrupt path=%s why=%s", backup, _why(error))  # noqa: TRY400
        return default


def _replace(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _why(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    return f"{where}: {first['msg']}"
