"""What a check finds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "problem"]
"""`problem`: something does not work. `warn`: it works, but look at it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    subject: str
    level: Level
    sentence: str
    """Never holds a secret; what others wrote in it is shown with `readable.plain`."""
    remedy: str = ""
    """A command or a line of a file that can be typed as it stands."""


Check = Callable[[], list[Finding]]
"""May take its time and block: it runs in a thread of its own, and is not waited for long."""


def ok(subject: str, sentence: str) -> Finding:
    """Return a finding that needs nobody."""
    return Finding(subject, "ok", sentence)


def warn(subject: str, sentence: str, remedy: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(subject, "warn", sentence, remedy)


def problem(subject: str, sentence: str, remedy: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(subject, "problem", sentence, remedy)
