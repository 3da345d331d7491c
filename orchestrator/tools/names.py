"""Qualified names: `server__tool`, unique, and short enough for every model API."""

import hashlib
import re

MAX_LENGTH = 64
_HASH_LENGTH = 12
_PLAIN = re.compile(rf"[a-zA-Z0-9_-]{{1,{MAX_LENGTH}}}")
_HASHED = re.compile(rf".*_[0-9a-f]{{{_HASH_LENGTH}}}", re.DOTALL)
_REPLACED = re.compile(r"[^a-zA-Z0-9_-]+")


def qualified_name(server: str, tool: str) -> str:
    """Return `server__tool`, or a form of it that ends in a hash of the tool's own name.

    The hash is used when the plain form would be too long, when characters had to be replaced
    and when the tool's name already looks hashed, so that no two tools ever share a name: a
    server id holds no `__` and ends in no `_`, so the first `__` always divides the two parts.
    """
    plain = f"{server}__{tool}"
    if _PLAIN.fullmatch(plain) and tool and not _HASHED.fullmatch(tool):
        return plain
    digest = hashlib.sha256(tool.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    room = MAX_LENGTH - len(server) - len("__") - len("_") - _HASH_LENGTH
    readable = _REPLACED.sub("_", tool)[:room]
    return f"{server}__{readable}_{digest}"
