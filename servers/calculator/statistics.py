"""Statistics of a list of numbers, exact until the last rounding."""

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

from servers.calculator.errors import CalculationError
from servers.calculator.numbers import Arithmetic, decimal_text, to_fraction
from servers.calculator.operations import Statistic

MAX_VALUES = 10_000
DIGITS = 15
_WORKING_DIGITS = 40
_LARGEST = Fraction(10) ** 50
_SMALLEST_STEP = 10**50

DEFAULT: tuple[Statistic, ...] = ("count", "sum", "mean", "median", "min", "max", "stdev")


def describe(values: Sequence[Fraction], wanted: Sequence[Statistic] = DEFAULT) -> dict[str, str]:
    """Return each statistic as decimal text with up to 15 significant digits.

    Raises:
        CalculationError: no values, too many, too far apart, or too few for a statistic.
    """
    if not 1 <= len(values) <= MAX_VALUES:
        raise CalculationError(f"give 1 to {MAX_VALUES:,} values, not {len(values):,}")
    if any(abs(value) > _LARGEST or _SMALLEST_STEP % value.denominator for value in values):
        raise CalculationError("values must be below 1e50 with at most 50 decimal places")
    sample = _Sample(values)
    return {name: _STATISTICS[name](sample) for name in wanted}


class _Sample:
    """The values as integers over one denominator, which makes 10,000 of them cheap."""

    def __init__(self, values: Sequence[Fraction]) -> None:
        self.scale = max(value.denominator for value in values)
        # Denominators divide a power of ten, so this product is the least that all share.
        while any(self.scale % value.denominator for value in values):
            self.scale *= 10
        self.scaled = sorted(int(value * self.scale) for value in values)
        self.count = len(self.scaled)
        self.total = sum(self.scaled)

    def value(self, scaled: Fraction | int) -> Fraction:
        return Fraction(scaled) / self.scale

    def quantile(self, share: Fraction) -> Fraction:
        """Interpolate linearly between the nearest ranks, as spreadsheets and NumPy do."""
        place = share * (self.count - 1)
        low = place.numerator // place.denominator
        high = min(low + 1, self.count - 1)
        below, above = self.scaled[low], self.scaled[high]
        return self.value(below + (above - below) * (place - low))

    def variance(self, *, of_sample: bool) -> Fraction:
        if of_sample and self.count < 2:
            raise CalculationError(
                "variance and stdev of a sample need 2 values; for one value use population_stdev"
            )
        squares = self.count * sum(value * value for value in self.scaled) - self.total**2
        divisor = self.count * (self.count - 1 if of_sample else self.count)
        return Fraction(squares, divisor * self.scale**2)


def _exact(compute: Callable[[_Sample], Fraction]) -> Callable[[_Sample], str]:
    return lambda sample: decimal_text(compute(sample), DIGITS)


def _stdev(*, of_sample: bool) -> Callable[[_Sample], str]:
    def compute(sample: _Sample) -> str:
        variance = sample.variance(of_sample=of_sample)
        root = Arithmetic(_WORKING_DIGITS).root(variance, 2)
        return decimal_text(to_fraction(root), DIGITS)

    return compute


def _percentile(percent: int) -> Callable[[_Sample], str]:
    return _exact(lambda sample: sample.quantile(Fraction(percent, 100)))


def _mode(sample: _Sample) -> str:
    ranked = Counter(sample.scaled).most_common()
    most = [value for value, times in ranked if times == ranked[0][1]]
    if len(most) > 10:
        return f"none: {len(most):,} values appear {ranked[0][1]} time(s)"
    return ", ".join(decimal_text(sample.value(value), DIGITS) for value in most)


def _positive(sample: _Sample) -> None:
    if sample.scaled[0] <= 0:
        raise CalculationError("geometric and harmonic means need values greater than 0")


def _geometric_mean(sample: _Sample) -> str:
    _positive(sample)
    arithmetic = Arithmetic(_WORKING_DIGITS)
    logs = Fraction(0)
    for value, times in Counter(sample.scaled).items():
        logs += times * to_fraction(arithmetic.call("log", sample.value(value)))
    mean = arithmetic.call("exp", logs / sample.count)
    return decimal_text(to_fraction(mean), DIGITS)


def _harmonic_mean(sample: _Sample) -> str:
    _positive(sample)
    digits = 10 ** (2 * _WORKING_DIGITS)
    inverses = sum(digits * sample.scale // value for value in sample.scaled)
    return decimal_text(Fraction(sample.count * digits, inverses), DIGITS)


_STATISTICS: dict[Statistic, Callable[[_Sample], str]] = {
    "count": lambda sample: str(sample.count),
    "sum": _exact(lambda sample: sample.value(sample.total)),
    "mean": _exact(lambda sample: sample.value(Fraction(sample.total, sample.count))),
    "median": _percentile(50),
    "mode": _mode,
    "min": _exact(lambda sample: sample.value(sample.scaled[0])),
    "max": _exact(lambda sample: sample.value(sample.scaled[-1])),
    "range": _exact(lambda sample: sample.value(sample.scaled[-1] - sample.scaled[0])),
    "variance": _exact(lambda sample: sample.variance(of_sample=True)),
    "stdev": _stdev(of_sample=True),
    "population_variance": _exact(lambda sample: sample.variance(of_sample=False)),
    "population_stdev": _stdev(of_sample=False),
    "q1": _percentile(25),
    "q3": _percentile(75),
    "iqr": _exact(lambda s: s.quantile(Fraction(3, 4)) - s.quantile(Fraction(1, 4))),
    "p5": _percentile(5),
    "p90": _percentile(90),
    "p95": _percentile(95),
    "p99": _percentile(99),
    "geometric_mean": _geometric_mean,
    "harmonic_mean": _harmonic_mean,
}
