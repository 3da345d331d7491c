"""Server-sent events over bytes, as far as chat completions use them."""


class EventTooLarge(Exception):
    """An event, or the line being received, passed the limit."""


class SSEParser:
    """Cuts a byte stream into the data of its events, wherever the network split it.

    Lines end in LF or CRLF. Comments and the fields `event`, `id` and `retry` carry nothing in
    this protocol and are passed over.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._unfinished_line: list[bytes] = []
        self._data: list[bytes] = []
        self._size_bytes = 0

    def feed(self, received: bytes) -> list[bytes]:
        """Return the data of every event that `received` completes.

        Raises EventTooLarge when an unfinished event passes the limit.
        """
        self._unfinished_line.append(received)
        if b"\n" not in received:
            # Joined only when the line ends: a large event arrives in hundreds of pieces.
            self._count(len(received))
            return []
        *lines, rest = b"".join(self._unfinished_line).split(b"\n")
        self._unfinished_line = [rest]
        events = self._take_lines(lines)
        self._size_bytes = sum(map(len, self._data))
        self._count(len(rest))
        return events

    def _take_lines(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removesuffix(b"\r").removeprefix(b" "))
            elif line in (b"", b"\r") and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
        return events

    def _count(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > self._max_event_bytes:
            raise EventTooLarge
