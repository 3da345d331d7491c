"""What a benchmark is: a stage that yields the numbers of one round after the other."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

Numbers = Mapping[str, float]
"""One round: row key to number; a key of `Stage.rows` may be missing."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int = 5
    quick: bool = False

    def count(self, full: int, quick: int) -> int:
        """Return how often to do something within one round."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Row:
    """One line of the table. The bar is that of DESIGN section 7 and is held by the median."""

    key: str
    what: str
    unit: str
    bar: float | None = None
    at_least: bool = False
    """True when the bar is a floor, not a ceiling."""

    def is_met(self, value: float) -> bool | None:
        """Tell whether `value` holds the bar, None when there is none."""
        if self.bar is None:
            return None
        return value >= self.bar if self.at_least else value <= self.bar


@dataclass(frozen=True)
class Stage:
    """Rows that are measured together, in interleaved rounds."""

    name: str
    rows: tuple[Row, ...]
    run: Callable[[Plan], AsyncGenerator[Numbers]]
