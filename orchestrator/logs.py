"""Structured log files: JSON lines, one file a day for the app and one for conversations.

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
from typing import Any, TextIO

from orchestrator.domain.times import to_rfc3339

QUEUE_LENGTH = 10_000
HIDDEN = "[hidden]"

_conversations = logging.getLogger("orchestrator.conversations")
_SECRETS = re.compile(
    r"""(?ix)
    (?P<name> \b(?: proxy-authorization | authorization | set-cookie | cookie
              | (?:x-)?[a-z]*[_-]?api[_-]?key | [a-z_-]*password | client_secret
              | (?:access|refresh|id)_token )
       \\?["']? \s* [:=] \s* \\?["']? )
       (?: (?:bearer|basic) \s+ )? [^\s"'\\,;}]+
    | (?P<scheme> \b bearer \s+ ) [\w.~+/=-]+
    | \b (?: sk- | flo_ ) [\w-]{8,}
    | \b (?: ya29\. | 1// ) [\w-]{8,}
    | (?P<cookie> \b (?:__host-)? flotilla_(?:session|oauth_[0-9a-f]+)= ) [\w-]+
    | (?P<query> [?&] (?: code | state | code_verifier | device_code ) = ) [^&\s"'\\]+
    """
)


@contextmanager
def logging_to_files(folder: Path, level: str) -> Generator[None]:
    """Send our records of `level` and above to files in `folder` and to stderr.

    Libraries are heard from WARNING on, or in full at DEBUG, except those that would write what
    tools are called with. Holds until the block ends.
    """
    records: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_LENGTH)
    inlet = _Inlet(records)
    files = DailyFiles(folder)
    outlet = QueueListener(records, files, _Terminal(), respect_handler_level=True)
    root = logging.getLogger()
    root.addHandler(inlet)
    root.setLevel("DEBUG" if level == "DEBUG" else "WARNING")
    logging.getLogger("orchestrator").setLevel(level)
    logging.getLogger("mcp").setLevel(logging.WARNING)
    _conversations.setLevel(logging.INFO)
    outlet.start()
    try:
        yield
    finally:
        root.removeHandler(inlet)
        outlet.stop()
        files.close()
        if inlet.dropped:
            sys.stderr.write(f"{inlet.dropped} log records were dropped: the disk was too slow.\n")


def log_conversation(session_id: str, event: str, **fields: object) -> None:
    """Add one line to the log of a session: models, counts, durations, hashes; never its text."""
    if _conversations.isEnabledFor(logging.INFO):
        _conversations.info(event, extra={"fields": {"session": session_id, **fields}})


def redact(text: str) -> str:
    """Return `text` without keys, tokens, cookies, passwords and what providers send back."""
    return _SECRETS.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    return (match["name"] or match["scheme"] or match["cookie"] or match["query"] or "") + HIDDEN


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
    """Writes `app/DAY/app.jsonl` and `conversations/DAY/conversations.jsonl`; days are UTC."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._open: dict[str, tuple[str, TextIO]] = {}
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line, and flush it: whoever reads along sees whole lines."""
        kind = "conversations" if record.name == _conversations.name else "app"
        try:
            file = self._file(kind, f"{_moment(record):%Y-%m-%d}")
            file.write(self.format(record) + "\n")
            file.flush()
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the files."""
        for _, file in self._open.values():
            file.close()
        self._open.clear()
        super().close()

    def _file(self, kind: str, day: str) -> TextIO:
        """Return the file of today: opening it for each line would cost ten times the line."""
        opened = self._open.get(kind)
        if opened is not None and opened[0] == day:
            return opened[1]
        if opened is not None:
            opened[1].close()
        path = self._folder / kind / day / f"{kind}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
        self._open[kind] = (day, file)
        return file


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
