"""Evaluation of written calculations: a grammar of our own, nothing of Python can be reached.

sum      product (("+" | "-") product)*            a + b% means a + b% of a
product  unary (("*" | "/" | "//" | "mod" | "of" | "x") unary)*
unary    ("-" | "+")* power
power    postfix ("^" unary)?                      to the right: 2^3^2 = 2^9
postfix  atom ("!" | "%")*                         % before an operand is the remainder
atom     number | constant | function "(" sum ("," sum)* ")" | "(" sum ")"
"""

from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction

from servers.calculator.errors import CalculationError
from servers.calculator.functions import CONSTANTS, FUNCTIONS, factorial_of
from servers.calculator.lexer import Token, tokenize
from servers.calculator.numbers import (
    Arithmetic,
    Number,
    decimal_text,
    integer_text,
    is_finite_decimal,
    to_fraction,
)
from servers.calculator.operations import Mode

MAX_DEPTH = 50
MAX_PRECISION = 1_000
MAX_DIGITS = 10_000
MAX_FRACTION_CHARACTERS = 200
GUARD_DIGITS = (15, 45, 135)
"""Reals are computed with ever more digits until two results agree in every digit shown."""
WORDS = ("of", "x", "mod")


@dataclass(frozen=True)
class Answer:
    """`result` in digits; `fraction` beside it where digits alone would be rounded."""

    result: str
    is_exact: bool
    fraction: str | None = None


def evaluate(expression: str, precision: int = 30, mode: Mode = "auto") -> Answer:
    """Return the value of the expression with `precision` significant digits.

    Raises:
        CalculationError: the text is no calculation, has no real value, or costs too much.
    """
    if not 1 <= precision <= MAX_PRECISION:
        raise CalculationError(f"precision must be from 1 to {MAX_PRECISION:,}, not {precision}")
    tokens = tokenize(expression)
    value = _Evaluation(tokens, precision + GUARD_DIGITS[0]).run()
    if isinstance(value, Fraction):
        return _exact(value, precision, mode)
    if mode == "exact":
        raise CalculationError(
            "the result is not a rational number, so there is no exact form; use mode 'auto'"
        )
    return Answer(_confirmed(tokens, precision, value), is_exact=False)


def _exact(value: Fraction, precision: int, mode: Mode) -> Answer:
    rounded = decimal_text(value, precision)
    if mode == "decimal":
        return Answer(rounded, is_exact=Fraction(rounded) == value)
    if value.denominator == 1 and abs(value.numerator) < 10**MAX_DIGITS:
        return Answer(integer_text(value.numerator), is_exact=True)
    fraction = f"{integer_text(value.numerator)}/{integer_text(value.denominator)}"
    if mode == "exact":
        if len(fraction) > MAX_DIGITS:
            raise CalculationError(
                f"the exact result has over {MAX_DIGITS:,} digits; use mode 'decimal'"
            )
        return Answer(fraction, is_exact=True)
    is_exact = is_finite_decimal(value) and Fraction(rounded) == value
    shown = None if is_exact or len(fraction) > MAX_FRACTION_CHARACTERS else fraction
    return Answer(rounded, is_exact, shown)


def _confirmed(tokens: list[Token], precision: int, value: Number) -> str:
    first = decimal_text(to_fraction(value), precision)
    for guard in GUARD_DIGITS[1:]:
        finer = _Evaluation(tokens, precision + guard).run()
        second = decimal_text(to_fraction(finer), precision)
        if first == second:
            return second
        # A true zero, e.g. sin(pi), comes out as rounding noise that shrinks with the digits.
        if abs(to_fraction(finer)) * 10**20 < abs(to_fraction(value)) < Fraction(1, 10**precision):
            return "0"
        first, value = second, finer
    raise CalculationError(
        "the digits of this expression cancel each other out; rewrite it, e.g. without the "
        "difference of two nearly equal numbers"
    )


class _Evaluation:
    """One pass over the tokens: parsing and computing at once, so depth is the only recursion."""

    def __init__(self, tokens: list[Token], digits: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._arithmetic = Arithmetic(digits)

    def run(self) -> Number:
        value = self._sum()
        if self._next.kind != "end":
            raise self._unexpected()
        return value

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, *symbols: str) -> str | None:
        """Return the next token's text and move on, if it is one of these."""
        token = self._next
        if token.kind in ("symbol", "name") and token.text in symbols:
            self._at += 1
            return token.text
        return None

    def _sum(self) -> Number:
        value, _ = self._product()
        while symbol := self._take("+", "-"):
            operand, is_percent = self._product()
            if is_percent:
                operand = self._arithmetic.multiply(value, operand)
            if symbol == "-":
                operand = self._arithmetic.negate(operand)
            value = self._arithmetic.add(value, operand)
        return value

    def _product(self) -> tuple[Number, bool]:
        value, is_percent = self._unary()
        arithmetic = self._arithmetic
        while symbol := self._take("*", "/", "//", "%", *WORDS):
            operand, _ = self._unary()
            is_percent = False
            if symbol in ("*", "of", "x"):
                value = arithmetic.multiply(value, operand)
            elif symbol == "/":
                value = arithmetic.divide(value, operand)
            elif symbol == "//":
                value = arithmetic.floor(arithmetic.divide(value, operand))
            else:
                value = arithmetic.modulo(value, operand)
        return value, is_percent

    def _unary(self) -> tuple[Number, bool]:
        is_negative = False
        while symbol := self._take("-", "+"):
            is_negative ^= symbol == "-"
        value, is_percent = self._power()
        return (self._arithmetic.negate(value) if is_negative else value), is_percent

    def _power(self) -> tuple[Number, bool]:
        base, is_percent = self._postfix()
        if not self._take("^"):
            return base, is_percent
        self._deepen()
        exponent, _ = self._unary()
        self._depth -= 1
        return self._arithmetic.power(base, exponent), False

    def _postfix(self) -> tuple[Number, bool]:
        value, is_percent = self._atom(), False
        while True:
            if self._take("!"):
                if self._next.text == "!":
                    raise CalculationError("write (n!)! for the factorial of a factorial")
                value, is_percent = factorial_of(value), False
            elif self._next.text == "%" and not self._is_operand(self._tokens[self._at + 1]):
                self._at += 1
                value, is_percent = self._arithmetic.divide(value, Fraction(100)), True
            else:
                return value, is_percent

    @staticmethod
    def _is_operand(token: Token) -> bool:
        if token.kind == "name":
            return token.text not in WORDS
        return token.kind == "number" or token.text == "("

    def _atom(self) -> Number:
        token = self._next
        if token.kind == "number":
            self._at += 1
            return token.value
        if token.kind == "name":
            self._at += 1
            return self._named(token.text)
        if self._take("("):
            self._deepen()
            value = self._sum()
            self._close()
            return value
        raise self._unexpected()

    def _named(self, name: str) -> Number:
        if name in CONSTANTS:
            return CONSTANTS[name](self._arithmetic)
        if name not in FUNCTIONS:
            raise _unknown(name)
        if not self._take("("):
            raise CalculationError(f"{name} is a function: write {name}(...)")
        self._deepen()
        values = [self._sum()]
        while self._take(","):
            values.append(self._sum())
        self._close()
        function = FUNCTIONS[name]
        if not function.fewest <= len(values) <= function.most:
            count = str(function.fewest)
            if function.most != function.fewest:
                count += f" to {function.most}"
            raise CalculationError(
                f"{name} takes {count} value(s), not {len(values)}; between the brackets of a "
                "function a comma separates values, so write 2340 there, not 2,340"
            )
        return function.compute(self._arithmetic, values)

    def _deepen(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CalculationError(f"brackets or powers are nested over {MAX_DEPTH} deep")

    def _close(self) -> None:
        if not self._take(")"):
            raise self._unexpected()
        self._depth -= 1

    def _unexpected(self) -> CalculationError:
        if self._next.kind == "end":
            return CalculationError("the expression stops too early; is a number or ')' missing?")
        hint = ""
        if self._next.text == ",":
            hint = "; a comma may only group three digits (2,340) or separate a function's values"
        elif self._is_operand(self._next) and self._at > 0:
            hint = "; multiplication is always written, e.g. 2*pi or 3*(4+5)"
        return CalculationError(f"unexpected {self._next.text[:40]!r}{hint}")


def _unknown(name: str) -> CalculationError:
    close = get_close_matches(name, [*FUNCTIONS, *CONSTANTS], n=3)
    meant = f" Did you mean {', '.join(close)}?" if close else ""
    return CalculationError(
        f"unknown name {name[:40]!r}.{meant} Constants: {', '.join(CONSTANTS)}. "
        f"Functions: {', '.join(FUNCTIONS)}"
    )
