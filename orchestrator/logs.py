"""Structured log files: JSON lines per day, and per session and day for conversations.

Whoever logs only queues the record; one thread formats, redacts and writes. A full queue drops
records and counts them rather than stop the event loop.
"""

import copy
import json
import logging
import queue
import re
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

from orchestrator.domain.times import to_rfc3339

QUEUE_LENGTH = 10_000
HIDDEN = "[hidden]"

_conversations = logging.getLogger("orchestrator.conversations")
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRETS = re.compile(
    r"""(?ix)
    (?P<name> \b(?: proxy-authorization | authorization | set-cookie | cookie
              | (?:x-)?[a-z]*[_-]?api[_-]?key | [a-z_-]*password | client_secret
              | (?:access|refresh|id)_token )
       \\?["']? \s* [:=] \s* \\?["']? )
       (?: (?:bearer|basic) \s+ )? [^\s"'\\,;}]+
    | (?P<scheme> \b bearer \s+ ) [\w.~+/=-]+
    | \b (?: sk- | flo_ ) [\w-]{8,}
    | (?P<cookie> \b (?:__host-)? flotilla_session= ) [\w-]+
    """
)


@contextmanager
def logging_to_files(folder: Path, level: str) -> Generator[None]:
    """Send our records of `level` and above to files in `folder` and to stderr.

    Libraries are heard from WARNING on, or in full at DEBUG. Holds until the block ends.
    """
    records: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LENGTH)
    inlet = _Inlet(records)
    outlet = QueueListener(records, DailyFiles(folder), _Terminal(), respect_handler_level=True)
    root = logging.getLogger()
    root.addHandler(inlet)
    root.setLevel("DEBUG" if level == "DEBUG" else "WARNING")
    logging.getLogger("orchestrator").setLevel(level)
    _conversations.setLevel(logging.INFO)
    outlet.start()
    try:
        yield
    finally:
        root.removeHandler(inlet)
        outlet.stop()
        if inlet.dropped:
            sys.stderr.write(f"{inlet.dropped} log records were dropped: the disk was too slow.\n")


def log_conversation(session_id: str, event: str, **fields: object) -> None:
    """Add one line to the log of a session: models, counts, durations, hashes; never its text."""
    if _conversations.isEnabledFor(logging.INFO):
        _conversations.info(event, extra={"session_id": session_id, "fields": fields})


def redact(text: str) -> str:
    """Return `text` without keys, tokens, cookies and passwords."""
    return _SECRETS.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    return (match["name"] or match["scheme"] or match["cookie"] or "") + HIDDEN


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class _Inlet(QueueHandler):
    """Queues records as they are; the text of exceptions is made by the other thread."""

    def __init__(self, records: "queue.Queue[logging.LogRecord]") -> None:
        super().__init__(records)
        self._records = records
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        if record.args:
            # The arguments may change before the other thread reads them.
            record = copy.copy(record)
            record.msg = record.getMessage()
            record.args = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class DailyFiles(logging.Handler):
    """Writes `app/DAY/app.jsonl` and `conversations/DAY/SESSION.jsonl`; days are UTC."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line; the file is opened each time, so that a day's end needs no care."""
        try:
            path = self._path(record)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(self.format(record) + "\n")
        except OSError:
            self.handleError(record)

    def _path(self, record: logging.LogRecord) -> Path:
        day = f"{_moment(record):%Y-%m-%d}"
        session_id = getattr(record, "session_id", None)
        if record.name == _conversations.name and _SESSION_ID.fullmatch(str(session_id)):
            return self._folder / "conversations" / day / f"{session_id}.jsonl"
        return self._folder / "app" / day / "app.jsonl"


class JsonLines(logging.Formatter):
    """One redacted JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: at, level, logger, message, then the record's own fields."""
        line: dict[str, Any] = {
            "at": to_rfc3339(_moment(record)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields: Mapping[str, object] | None = getattr(record, "fields", None)
        if fields:
            line |= fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, ensure_ascii=False, default=str))


class _Terminal(logging.StreamHandler[Any]):
    """One short line per record on stderr; conversations stay in their files."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
        self.addFilter(lambda record: record.name != _conversations.name)

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line."""
        return redact(super().format(record))
