"""Where readers put their text, up to a bound."""

from orchestrator.domain.visible import without_hidden

MAX_CHARS = 200_000


class Unreadable(Exception):
    """The document cannot be read; the message is a sentence about "it"."""


class Full(Exception):
    """There is enough text."""


class TextSink:
    """Collects cleaned text and notes; `place` is where in the document the reader is."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.place = ""
        self.is_truncated = False
        self._pieces: list[str] = []
        self._length = 0
        self.is_empty = True

    @property
    def text(self) -> str:
        return "".join(self._pieces).strip("\n")

    def add(self, text: str) -> None:
        """Keep `text` without what no reader can see. Raises Full when MAX_CHARS are reached."""
        room = MAX_CHARS - self._length
        plain = without_hidden(text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))
        self._pieces.append(plain[:room])
        self._length += min(len(plain), room)
        self.is_empty = self.is_empty and not plain.strip()
        if len(plain) > room:
            raise Full

    def cut_short(self, why: str) -> None:
        """Note that the text ends before the document does."""
        place = f" ({self.place})" if self.place else ""
        self.is_truncated = True
        self.notes.append(f"Only the first {self._length:,} characters were read{place}: {why}.")
