"""The results: medians of rounds beside their bars, for people and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from tests.benchmarks.rig import Rig
from tests.benchmarks.stages import Numbers, Row, Stage

_VERDICTS = {True: "yes", False: "NO", None: ""}
_HEADINGS = ("", "median [min-max]", "unit", "bar", "met")


@dataclass(frozen=True)
class Result:
    """One row with the numbers of its rounds."""

    stage: str
    row: Row
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def is_met(self) -> bool | None:
        return self.row.is_met(self.median)

    @property
    def spread(self) -> str:
        """Return the median, and the ends when there was more than one round."""
        middle = _number(self.median)
        if len(self.values) == 1:
            return middle
        return f"{middle} [{_number(min(self.values))}-{_number(max(self.values))}]"

    @property
    def bar(self) -> str:
        if self.row.bar is None:
            return ""
        return f"{'>=' if self.row.at_least else '<='} {_number(self.row.bar)}"


def results_of(stage: Stage, rounds: Sequence[Numbers]) -> list[Result]:
    """Return the rows of a stage that were measured, in their order."""
    results: list[Result] = []
    for row in stage.rows:
        values = tuple(numbers[row.key] for numbers in rounds if row.key in numbers)
        if values:
            results.append(Result(stage.name, row, values))
    return results


def lines_of(stage: str, results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return the cells of one stage, below a line with its name."""
    return [
        (stage, "", "", "", ""),
        *(
            (f"  {result.row.what}", result.spread, result.row.unit, result.bar, verdict(result))
            for result in results
        ),
    ]


def verdict(result: Result) -> str:
    return _VERDICTS[result.is_met]


def table_of(results: Sequence[Result]) -> str:
    """Return the whole table as text."""
    stages = dict.fromkeys(result.stage for result in results)
    lines: list[tuple[str, ...]] = [_HEADINGS]
    for stage in stages:
        lines += lines_of(stage, [result for result in results if result.stage == stage])
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def heading_of(rig: Rig, rounds: int) -> str:
    """Return the lines above the table."""
    load = " ".join(f"{value:.1f}" for value in rig.load_average)
    return (
        f"{rig.date}, medians of {rounds} interleaved rounds\n"
        f"{rig.cores} cores {rig.cpu}, Linux {rig.kernel}, Python {rig.python}, "
        f"load at the start {load}, fsync {rig.fsync_ms:.2f} ms"
    )


def document_of(
    rig: Rig, rounds: int, results: Iterable[Result], failures: dict[str, str], *, quick: bool
) -> str:
    """Return everything as JSON."""
    rows: list[dict[str, Any]] = [
        {
            "stage": result.stage,
            **asdict(result.row),
            "median": result.median,
            "min": min(result.values),
            "max": max(result.values),
            "values": list(result.values),
            "met": result.is_met,
        }
        for result in results
    ]
    document = {"rig": asdict(rig), "rounds": rounds, "quick": quick}
    return json.dumps({**document, "rows": rows, "failures": failures}, indent=2) + "\n"


def _number(value: float) -> str:
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
