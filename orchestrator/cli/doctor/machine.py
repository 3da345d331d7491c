"""Checks of the machine: Python, SQLite, and what time it is."""

import platform
import sqlite3
import sys
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.settings import Settings

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 35, 0)
"""The first with RETURNING."""
AHEAD_S = 120
"""By how much a file may be newer than the clock says it is: file servers have their own."""


def versions() -> list[Finding]:
    """Look at the versions of what Flotilla stands on."""
    sentence = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}."
    if sys.version_info < OLDEST_PYTHON:
        return [problem("python", f"{sentence} 3.11 is the oldest that fits.", "make install")]
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        remedy = "make install, with a Python whose SQLite is 3.35 or newer"
        return [problem("python", f"{sentence} The second is too old.", remedy)]
    return [ok("python", sentence)]


def clock(settings: Settings) -> list[Finding]:
    """Compare the clock with the newest file that we wrote, which cannot come from tomorrow."""
    now_s = time.time()
    shown = datetime.fromtimestamp(now_s, ZoneInfo(settings.timezone))
    sentence = f"It is {shown:%Y-%m-%d %H:%M} in {settings.timezone}."
    written_s = max(map(_written_s, _ours(settings.data_dir)), default=0.0)
    if written_s > now_s + AHEAD_S:
        newest = datetime.fromtimestamp(written_s, ZoneInfo(settings.timezone))
        sentence = f"{sentence} But a file was written {newest:%Y-%m-%d %H:%M}: the clock is slow."
        return [warn("clock", sentence, "sudo timedatectl set-ntp true")]
    return [ok("clock", sentence)]


def _ours(data_dir: Path) -> list[Path]:
    return [*data_dir.glob("chat_sessions.db*"), *data_dir.glob("*.json")]


def _written_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone meanwhile
        return 0.0
