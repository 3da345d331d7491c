"""Keys to sign with: 256 bits each, in private files, made once."""

import os
import re
import secrets
import stat
from pathlib import Path

KEY_BYTES = 32


class KeyFileUnusable(Exception):
    """A file that should hold a key cannot be used; the text says which one and what to do."""


def kept_key(path: Path) -> bytes:
    """Return the key in `path`, which is made when it is missing.

    It is read anew each time, so that a key the owner changed is used at once. Raises
    KeyFileUnusable.
    """
    if not path.exists():
        _create(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileUnusable(f"{path} can be read by other users: run `chmod 600 {path}`.")
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{43,}", text):
        raise KeyFileUnusable(f"{path} holds no key: delete it, and a new one is made.")
    return text.encode()


def _create(path: Path) -> None:
    """Make the file, complete from the first moment; whoever comes second keeps the first's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link fails when the name is taken, and never shows a half-written file.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
