"""Real numbers: exact fractions as long as possible, mpmath's reals where no fraction exists."""

import operator
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import Any, Protocol

from mpmath import MPContext  # pyright: ignore[reportMissingTypeStubs]  # 1.4.1 has none

from servers.calculator.errors import CalculationError

MAX_BITS = 200_000
"""Numbers stay below 2^200,000, about 60,000 digits: one operation costs milliseconds."""
MAX_ROOT = 64


class Inexact(Protocol):
    """An mpmath real: `mantissa * 2 ** exponent`."""

    @property
    def man_exp(self) -> tuple[int, int]: ...


Number = Fraction | Inexact


class Arithmetic:
    """The operations on numbers, with `digits` decimal digits wherever a result is not rational."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self._mp: Any = MPContext()  # Any: mpmath publishes no types
        self._mp.dps = digits

    def constant(self, name: str) -> Number:
        """Return mpmath's constant of that name."""
        return +getattr(self._mp, name)

    def call(self, name: str, *values: Number) -> Number:
        """Apply mpmath's function of that name.

        Raises:
            CalculationError: the result is not real, not finite or too large.
        """
        return self._real(name, getattr(self._mp, name), values)

    def add(self, left: Number, right: Number) -> Number:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return bounded(left + right)
        return self._real("+", operator.add, (left, right))

    def subtract(self, left: Number, right: Number) -> Number:
        return self.add(left, self.negate(right))

    def negate(self, value: Number) -> Number:
        return -value if isinstance(value, Fraction) else self._real("-", operator.neg, (value,))

    def multiply(self, left: Number, right: Number) -> Number:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return bounded(left * right)
        return self._real("*", operator.mul, (left, right))

    def divide(self, left: Number, right: Number) -> Number:
        if sign(right) == 0:
            raise CalculationError("division by zero: the divisor works out to 0")
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return bounded(left / right)
        return self._real("/", _quotient, (left, right))

    def floor(self, value: Number) -> Fraction:
        """Return the largest integer below; a real within rounding error of an integer is it."""
        exact = to_fraction(value)
        if not isinstance(value, Fraction):
            nearest = Fraction(round(exact))
            slack = max(abs(exact), Fraction(1)) / 10 ** (self.digits - 10)
            if abs(exact - nearest) < slack:
                return nearest
        return Fraction(exact.numerator // exact.denominator)

    def modulo(self, left: Number, right: Number) -> Number:
        quotient = self.floor(self.divide(left, right))
        return self.subtract(left, self.multiply(quotient, right))

    def power(self, base: Number, exponent: Number) -> Number:
        """Return `base ** exponent`, exact whenever the result is rational."""
        if sign(base) == 0 and sign(exponent) < 0:
            raise CalculationError("division by zero: 0 to a negative power")
        if isinstance(base, Fraction) and isinstance(exponent, Fraction):
            if exponent.denominator == 1:
                return _integer_power(base, exponent.numerator)
            if base > 0 and exponent.denominator <= MAX_ROOT:
                root = exact_root(base, exponent.denominator)
                if root is not None:
                    return _integer_power(root, exponent.numerator)
        if sign(base) < 0 and to_fraction(exponent).denominator != 1:
            raise CalculationError(
                "a negative number to a fractional power has no real result; "
                "for odd roots use cbrt(x) or root(x, n)"
            )
        self._check_power(base, exponent)
        return self._real("^", _power, (base, exponent))

    def root(self, value: Number, degree: int) -> Number:
        """Return the real root; odd roots of negative numbers are negative."""
        if not 1 <= degree <= MAX_ROOT:
            raise CalculationError(f"a root must have a degree from 1 to {MAX_ROOT}, not {degree}")
        if sign(value) < 0:
            if degree % 2 == 0:
                raise CalculationError(f"root {degree} of a negative number has no real result")
            return self.negate(self.root(self.negate(value), degree))
        return self.power(value, Fraction(1, degree))

    def _check_power(self, base: Number, exponent: Number) -> None:
        if sign(base) == 0:
            return
        bits = self._mp.log(abs(self._mp_real(base)), 2) * self._mp_real(exponent)
        if abs(bits) > MAX_BITS:
            raise too_large()

    def _mp_real(self, value: Number) -> Any:
        if isinstance(value, Fraction):
            return self._mp.mpf(value.numerator) / value.denominator
        return value

    def _real(self, name: str, function: Callable[..., Any], values: tuple[Number, ...]) -> Number:
        try:
            result = function(*(self._mp_real(value) for value in values))
        except (ArithmeticError, ValueError) as error:
            raise CalculationError(f"{name} is not defined there") from error
        if not isinstance(result, self._mp.mpf):
            raise CalculationError(f"{name} has no real result there")
        if not self._mp.isfinite(result):
            raise CalculationError(f"{name} has no finite result there")
        if result and abs(self._mp.mag(result)) > MAX_BITS:
            raise too_large()
        return result


def to_fraction(value: Number) -> Fraction:
    """Return exactly the number that is stored."""
    if isinstance(value, Fraction):
        return value
    mantissa, exponent = value.man_exp
    if exponent >= 0:
        return Fraction(int(mantissa) << exponent)
    return Fraction(int(mantissa), 1 << -exponent)


def from_float(value: float) -> Fraction:
    """Return the decimal that was written: 0.1 is one tenth, not the nearest binary number."""
    return Fraction(repr(value))


def sign(value: Number) -> int:
    """Return -1, 0 or 1."""
    mantissa = value.numerator if isinstance(value, Fraction) else int(value.man_exp[0])
    return (mantissa > 0) - (mantissa < 0)


def bounded(value: Fraction) -> Fraction:
    """Return the value itself.

    Raises:
        CalculationError: it is larger than this engine computes with.
    """
    if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
        raise too_large()
    return value


def too_large() -> CalculationError:
    return CalculationError(
        "a number in this calculation is too large: at most about 60,000 digits are allowed. "
        "Use smaller numbers, or compare logarithms, e.g. 9^9 * log10(9)"
    )


def exact_root(value: Fraction, degree: int) -> Fraction | None:
    """Return the rational root of a non-negative number, None where there is none."""
    numerator = _integer_root(value.numerator, degree)
    denominator = _integer_root(value.denominator, degree)
    if numerator is None or denominator is None:
        return None
    return Fraction(numerator, denominator)


def is_finite_decimal(value: Fraction) -> bool:
    """Say whether decimal notation can hold the value exactly."""
    rest = value.denominator
    rest >>= (rest & -rest).bit_length() - 1
    # Without its factors of two it has to divide a power of five; this one is high enough.
    return pow(5, rest.bit_length(), rest) == 0 if rest > 1 else True


def decimal_text(value: Fraction, digits: int) -> str:
    """Return at most `digits` significant digits, half rounded to even, `1.5E+40` when far away."""
    context = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    if not quotient:
        return "0"
    trimmed = quotient.normalize(context)
    if -7 <= trimmed.adjusted() < max(digits, 21):
        return f"{trimmed:f}"
    return str(trimmed)


def integer_text(value: int) -> str:
    """Return all digits; unlike `str` this has no limit of 4,300 digits."""
    return f"{Decimal(value):f}"


def _quotient(left: Any, right: Any) -> Any:
    return left / right


def _power(base: Any, exponent: Any) -> Any:
    return base**exponent


def _integer_power(base: Fraction, exponent: int) -> Fraction:
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) != 1 and base and (bits - 1) * abs(exponent) > MAX_BITS:
        raise too_large()
    if abs(exponent) > MAX_BITS:
        exponent %= 2  # only 0, 1 and -1 come here
        return base**exponent if base else base
    return bounded(base**exponent)


def _integer_root(value: int, degree: int) -> int | None:
    if value < 2:
        return value
    root, nearer = 0, 1 << (value.bit_length() // degree + 1)
    while root == 0 or nearer < root:  # Newton's steps fall until they reach the root
        root = nearer
        nearer = ((degree - 1) * root + value // root ** (degree - 1)) // degree
    return root if root**degree == value else None
