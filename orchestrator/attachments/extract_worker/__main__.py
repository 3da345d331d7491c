"""Reads the document on standard input and answers on standard output."""

import json
import logging
import sys
from typing import Any, BinaryIO

from orchestrator.attachments.extract_worker.confinement import TimeUp, confine
from orchestrator.attachments.extract_worker.readers import READERS
from orchestrator.attachments.extract_worker.sink import Full, TextSink, Unreadable

_MAX_CAUSE_CHARS = 300


def main() -> None:
    replies = sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print must not end up in the reply
    logging.disable()  # pypdf has a warning for every oddity
    confine()
    reply = _reply(sys.stdin.buffer, sys.argv[1])
    replies.write(json.dumps(reply, ensure_ascii=False).encode())
    replies.flush()


def _reply(file: BinaryIO, mime: str) -> dict[str, Any]:
    sink = TextSink()
    try:
        READERS[mime](file, sink)
    except Full:
        sink.cut_short("it is long")
    except Unreadable as error:
        return {"error": str(error)}
    except TimeUp:
        if sink.is_empty:
            return {"error": "It takes too long to read."}
        sink.cut_short("it takes too long to read")
    except (MemoryError, RecursionError):
        if sink.is_empty:
            return {"error": "It needs too much memory to be read."}
        sink.cut_short("it needs too much memory")
    # Libraries for hostile formats raise whatever comes to hand; each means a broken document.
    except Exception as error:  # noqa: BLE001 - the reply tells of it
        cause = repr(error)[:_MAX_CAUSE_CHARS]
        if sink.is_empty:
            return {"error": "It is damaged and cannot be read.", "cause": cause}
        sink.cut_short("it is damaged there")
    return {"text": sink.text, "notes": sink.notes, "is_truncated": sink.is_truncated}


if __name__ == "__main__":
    main()
