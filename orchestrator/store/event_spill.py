"""Events that followers have seen but the database does not hold yet: they survive kill -9.

One `write` of the kernel costs a tenth of a transaction, so text can be shown every few dozen
milliseconds and stored four times a second (decision 0001). Two files take turns: one takes new
events while those of the other are being stored.
"""

import errno
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from orchestrator.errors import StorageFull
from orchestrator.store.turns import StoredEvent

logger = logging.getLogger(__name__)

_NAMES = ("turn_events-0.spill", "turn_events-1.spill")


class EventSpill:
    """The two files in `folder`; opening them empties them, so read `left_in` first."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC
        self._files = [os.open(folder / name, flags, 0o600) for name in _NAMES]
        self._active = 0

    def write(self, events: Iterable[tuple[str, StoredEvent]]) -> None:
        """Hand (turn id, event) pairs to the kernel. Raises StorageFull."""
        lines = bytearray()
        for turn_id, event in events:
            row = (turn_id, event.seq, event.type, event.data.decode())
            lines += msgspec.json.encode(row) + b"\n"
        file, size_bytes = self._files[self._active], len(lines)
        try:
            while lines:
                del lines[: os.write(file, lines)]
        except OSError as error:
            # Half a line would hide all that come after it.
            os.ftruncate(file, os.fstat(file).st_size - (size_bytes - len(lines)))
            if error.errno != errno.ENOSPC:
                raise
            raise StorageFull("The disk is full: the answer cannot go on.") from error

    def switch(self) -> None:
        """Let the other file take new events; those written so far are about to be stored."""
        self._active = 1 - self._active

    def clear_stored(self) -> None:
        """Empty the file that takes no events: all of them are in the database."""
        os.ftruncate(self._files[1 - self._active], 0)

    def close(self) -> None:
        """Close the files; what they hold is for the next start."""
        for file in self._files:
            os.close(file)


class NoSpill(EventSpill):
    """Keeps nothing, for events that no disk may see."""

    def __init__(self) -> None:
        self._files = []

    def write(self, events: Iterable[tuple[str, StoredEvent]]) -> None:
        """Let them go."""

    def switch(self) -> None:
        """There is nothing to switch."""

    def clear_stored(self) -> None:
        """There is nothing to clear."""


def left_in(folder: Path) -> dict[str, list[StoredEvent]]:
    """Return the events that a killed process left in `folder`, by turn and in order."""
    found: dict[str, dict[int, StoredEvent]] = {}
    for name in _NAMES:
        path = folder / name
        if not path.exists():
            continue
        for line in path.read_bytes().splitlines():
            try:
                row = msgspec.json.decode(line, type=tuple[str, int, str, str])
            except msgspec.DecodeError:
                logger.warning("event_spill_torn file=%s", name)
                break  # A power cut tore the end off.
            turn_id, seq, event_type, data = row
            event = StoredEvent(seq, event_type, data.encode())
            found.setdefault(turn_id, {})[seq] = event
    return {turn_id: [events[seq] for seq in sorted(events)] for turn_id, events in found.items()}
