"""The process in which calculations run: bounded memory, no secrets, killed when slow.

`client.py` starts it as `python -m servers.calculator.worker`. It says `{}` when ready, then
answers each line `{"operation", "arguments"}` with `{"result"}` or `{"error"}`.
"""

import contextlib
import json
import logging
import resource
import select
import signal
import sys
from typing import BinaryIO

from servers.calculator.engine import Engine
from servers.calculator.errors import CalculationError

MEMORY_LIMIT_BYTES = 512 * 1024 * 1024
IDLE_LIMIT_S = 600
ORPHAN_LIMIT_S = 30
"""The client kills a slow worker after seconds; this ends one whose client was killed."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve standard input until it closes or nothing was asked for `IDLE_LIMIT_S`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the server, which closes us
    # macOS refuses a lower address space; there the time limit alone has to do.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replies = sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print must not end up between the replies
    serve(sys.stdin.buffer, replies)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    engine = Engine()
    _send(replies, {})
    while select.select([requests], [], [], IDLE_LIMIT_S)[0]:
        line = requests.readline()
        if not line:
            return
        signal.alarm(ORPHAN_LIMIT_S)
        reply = _answer(engine, line)
        _send(replies, reply)
        signal.alarm(0)


def _answer(engine: Engine, line: bytes) -> dict[str, object]:
    try:
        request = json.loads(line)
        return {"result": engine.run(request["operation"], request["arguments"])}
    except CalculationError as error:
        return {"error": str(error)}
    except (MemoryError, RecursionError):
        return {"error": "this needs too much memory: use smaller numbers or a lower precision"}
    except Exception:
        logger.exception("calculation_crashed")
        return {"error": "this cannot be calculated here; write it in a simpler way"}


def _send(replies: BinaryIO, reply: dict[str, object]) -> None:
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    main()
