"""What has a name in an expression: constants and functions."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, gcd, lcm, log2, perm

from servers.calculator.errors import CalculationError
from servers.calculator.numbers import MAX_BITS, Arithmetic, Number, sign, to_fraction, too_large

MAX_FACTORIAL = 15_000
MAX_ARGUMENTS = 1_000

Values = list[Number]

_SMOOTH_EVERYWHERE = (
    *("sin", "cos", "tan", "asin", "acos", "atan", "asinh", "acosh", "atanh"),
    *("degrees", "radians", "erf"),
)


@dataclass(frozen=True)
class Function:
    """How many values it takes and what it gives; `compute` trusts that count."""

    compute: Callable[[Arithmetic, Values], Number]
    fewest: int = 1
    most: int = 1


def integer(value: Number, what: str) -> int:
    """Return the value as an int.

    Raises:
        CalculationError: it is not a whole number.
    """
    if not isinstance(value, Fraction) or value.denominator != 1:
        raise CalculationError(f"{what} needs whole numbers")
    return value.numerator


def factorial_of(value: Number) -> Fraction:
    """Return n! for whole n from 0 to `MAX_FACTORIAL`."""
    number = integer(value, "factorial")
    if not 0 <= number <= MAX_FACTORIAL:
        raise CalculationError(
            f"factorial takes whole numbers from 0 to {MAX_FACTORIAL:,}, not {_short(number)}; "
            "gamma(n + 1) gives a rounded value somewhat further"
        )
    return Fraction(factorial(number))


def _counting(name: str, count: Callable[[int, int], int]) -> Function:
    def compute(_: Arithmetic, values: Values) -> Number:
        total, chosen = (integer(value, name) for value in values)
        if not 0 <= chosen <= total:
            raise CalculationError(f"{name}(n, k) needs 0 <= k <= n")
        steps = min(chosen, total - chosen) if name == "comb" else chosen
        if steps * log2(total + 1) > MAX_BITS:
            raise too_large()
        return Fraction(count(total, chosen))

    return Function(compute, 2, 2)


def _integers(name: str, combine: Callable[..., int]) -> Function:
    def compute(_: Arithmetic, values: Values) -> Number:
        result = Fraction(combine(*(integer(value, name) for value in values)))
        if result.numerator.bit_length() > MAX_BITS:
            raise too_large()
        return result

    return Function(compute, 2, MAX_ARGUMENTS)


def _extreme(choose: Callable[..., Number]) -> Function:
    return Function(lambda _, values: choose(values, key=to_fraction), 1, MAX_ARGUMENTS)


def _sum(arithmetic: Arithmetic, values: Values) -> Number:
    total: Number = Fraction(0)
    for value in values:
        total = arithmetic.add(total, value)
    return total


def _mean(arithmetic: Arithmetic, values: Values) -> Number:
    return arithmetic.divide(_sum(arithmetic, values), Fraction(len(values)))


def _round(arithmetic: Arithmetic, values: Values) -> Number:
    places = integer(values[1], "the second value of round") if len(values) == 2 else 0
    if abs(places) > MAX_ARGUMENTS:
        raise CalculationError(f"round takes at most {MAX_ARGUMENTS:,} decimal places")
    scale = Fraction(10) ** places
    scaled = arithmetic.multiply(values[0], scale)
    size = arithmetic.add(arithmetic.negate(scaled) if sign(scaled) < 0 else scaled, Fraction(1, 2))
    return sign(scaled) * arithmetic.floor(size) / scale


def _truncate(arithmetic: Arithmetic, values: Values) -> Number:
    if sign(values[0]) >= 0:
        return arithmetic.floor(values[0])
    return -arithmetic.floor(arithmetic.negate(values[0]))


def _logarithm(arithmetic: Arithmetic, values: Values) -> Number:
    if any(sign(value) <= 0 for value in values):
        raise CalculationError("a logarithm takes numbers greater than 0")
    if len(values) == 2 and values[1] == 1:
        raise CalculationError("a logarithm cannot have base 1")
    return arithmetic.call("log", *values)


def _log_base(base: int) -> Function:
    return Function(lambda arithmetic, values: _logarithm(arithmetic, [*values, Fraction(base)]))


def _smooth(name: str, limit: int | None = None) -> Function:
    """Wrap mpmath's function; its cost grows with the size of the value, hence the limit."""

    def compute(arithmetic: Arithmetic, values: Values) -> Number:
        for value in values:
            if limit is not None and abs(to_fraction(value)) > limit:
                raise CalculationError(f"{name} takes values from -{limit:,} to {limit:,}")
        return arithmetic.call(name, *values)

    return Function(compute)


def _absolute(arithmetic: Arithmetic, values: Values) -> Number:
    return arithmetic.negate(values[0]) if sign(values[0]) < 0 else values[0]


def _short(number: int) -> str:
    return f"{number:,}" if number.bit_length() < 64 else "so large a number"


CONSTANTS: dict[str, Callable[[Arithmetic], Number]] = {
    "pi": lambda arithmetic: arithmetic.constant("pi"),
    "e": lambda arithmetic: arithmetic.constant("e"),
    "phi": lambda arithmetic: arithmetic.constant("phi"),
    "tau": lambda arithmetic: arithmetic.multiply(Fraction(2), arithmetic.constant("pi")),
}

FUNCTIONS: dict[str, Function] = {
    "abs": Function(_absolute),
    "sign": Function(lambda _, values: Fraction(sign(values[0]))),
    "floor": Function(lambda arithmetic, values: arithmetic.floor(values[0])),
    "ceil": Function(lambda a, values: -a.floor(a.negate(values[0]))),
    "trunc": Function(_truncate),
    "round": Function(_round, 1, 2),
    "min": _extreme(min),
    "max": _extreme(max),
    "sum": Function(_sum, 1, MAX_ARGUMENTS),
    "mean": Function(_mean, 1, MAX_ARGUMENTS),
    "gcd": _integers("gcd", gcd),
    "lcm": _integers("lcm", lcm),
    "mod": Function(lambda arithmetic, values: arithmetic.modulo(*values), 2, 2),
    "pow": Function(lambda arithmetic, values: arithmetic.power(*values), 2, 2),
    "sqrt": Function(lambda arithmetic, values: arithmetic.root(values[0], 2)),
    "cbrt": Function(lambda arithmetic, values: arithmetic.root(values[0], 3)),
    "root": Function(lambda a, values: a.root(values[0], integer(values[1], "root")), 2, 2),
    "factorial": Function(lambda _, values: factorial_of(values[0])),
    "comb": _counting("comb", comb),
    "perm": _counting("perm", perm),
    "ln": Function(_logarithm),
    "log": Function(_logarithm, 1, 2),
    "log2": _log_base(2),
    "log10": _log_base(10),
    "exp": Function(lambda a, values: a.power(a.constant("e"), values[0])),
    "gamma": _smooth("gamma", MAX_FACTORIAL),
    "hypot": Function(
        lambda a, values: a.root(_sum(a, [a.multiply(v, v) for v in values]), 2), 2, 2
    ),
    "atan2": Function(lambda arithmetic, values: arithmetic.call("atan2", *values), 2, 2),
    "sinh": _smooth("sinh", 100_000),
    "cosh": _smooth("cosh", 100_000),
    "tanh": _smooth("tanh", 100_000),
    **{name: _smooth(name) for name in _SMOOTH_EVERYWHERE},
}
