"""Checks of the folders: they can be written, have room, and are for their owner only."""

import os
import shutil
import stat
from collections.abc import Generator
from pathlib import Path

from orchestrator.cli.doctor.finding import Finding, ok, problem, warn

SCARCE_BYTES = 10**9
NONE_LEFT_BYTES = 20_000_000
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_PAGE = "README.md"
_MANY = frozenset({"attachments"})
"""Folders of thousands of files, which the folder itself protects."""


def folder(subject: str, path: Path) -> list[Finding]:
    """Look at a folder that Flotilla writes; one that is missing is made at the start."""
    path = path.absolute()
    standing = _nearest(path)
    if not os.access(standing, os.W_OK | os.X_OK):
        sentence = f"{standing} cannot be written."
        return [problem(subject, sentence, f"sudo chown -R {os.getuid()} {standing}")]
    free_bytes = shutil.disk_usage(standing).free
    gigabytes = f"{free_bytes / 10**9:,.1f} GB"
    if free_bytes < NONE_LEFT_BYTES:
        sentence = f"The disk of {path} is full: {free_bytes / 10**6:,.1f} MB are free."
        return [problem(subject, sentence, f"du -xh {standing} | sort -h | tail")]
    if free_bytes < SCARCE_BYTES:
        sentence = f"The disk of {path} is nearly full: {gigabytes} are free."
        return [warn(subject, sentence, f"du -xh {standing} | sort -h | tail")]
    missing = "" if path.exists() else ", made at the first start"
    return [*_exposed(subject, path), ok(subject, f"{path}{missing}; {gigabytes} are free.")]


def _nearest(path: Path) -> Path:
    """Return the folder, or the one in which it would be made."""
    while not path.exists():
        path = path.parent
    return path


def _exposed(subject: str, path: Path) -> list[Finding]:
    """Say what other users of the machine can read, or even change."""
    if not path.exists():
        return []
    remedy = f"chmod -R go= {path}"
    if path.stat().st_mode & MAY_WRITE:
        return [problem(subject, f"Other users can write in {path}.", remedy)]
    open_to_others = [found for found in _inside(path) if _mode(found) & OTHERS]
    if not open_to_others:
        return []
    first, more = open_to_others[0], len(open_to_others) - 1
    also = f" and {more:,} more" if more else ""
    return [problem(subject, f"Other users can reach {first}{also}.", remedy)]


def _inside(path: Path) -> Generator[Path]:
    """Yield all that should be private. Below a private folder nothing can be reached."""
    for found in sorted(path.iterdir()):
        if found.is_symlink() or found.name == _PAGE:
            continue
        yield found
        if found.is_dir() and found.name not in _MANY and _mode(found) & OTHERS:
            yield from _inside(found)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:  # replaced meanwhile
        return 0
