"""Reads a formula in figures or in words and writes it in plain operators."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_MAX_DEPTH = 30
_WORDS = {
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
    "twenty": "20",
    "fifty": "50",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
}
_TOKENS = (
    (
        # Not the beginning of a time of day or of a network address.
        "number",
        r"(?:[$€£][ \t]*)?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?![\d]*[:.]\d)",
    ),
    ("percent_of", r"(?:%|percent|per\s+cent)\s+of\b"),
    ("percent_off", r"(?:%|percent|per\s+cent)\s+off\b"),
    ("percent", r"%|(?:percent|per\s+cent)\b"),
    ("power", r"\*\*|\^|(?:raised\s+)?to\s+the\s+power\s+of\b"),
    ("times", r"[*×·]|(?:times|multiplied\s+by)\b|x(?=\s*[\d(])"),
    ("divide", r"[/÷]|(?:divided\s+by|over)\b"),
    ("modulo", r"(?:mod|modulo)\b"),
    ("plus", r"\+|plus\b"),
    ("minus", r"[-−]|minus\b"),
    ("squared", r"squared\b|²"),
    ("cubed", r"cubed\b|³"),
    ("factorial", r"!(?!=)"),
    ("root", r"√|(?:the\s+)?(?:square\s+root|sqrt)\s+of\b"),
    ("cube_root", r"(?:the\s+)?cube\s+root\s+of\b"),
    ("function", r"(?:sqrt|sin|cos|tan|asin|acos|atan|ln|log|log10|log2|exp|abs|factorial)\s*\("),
    ("open", r"\("),
    ("close", r"\)"),
    ("pi", r"pi\b|π"),
    ("word", rf"(?:{'|'.join(_WORDS)})\b"),
)
_TOKEN = re.compile("|".join(rf"(?P<{name}>{pattern})" for name, pattern in _TOKENS), re.IGNORECASE)
_SPACE = re.compile(r"[ \t]*")
_SUMS = {"plus": "+", "minus": "-"}
_PRODUCTS = {"times": "*", "divide": "/", "modulo": "%"}


@dataclass(frozen=True, slots=True)
class Formula:
    """`end` is where in the text it stops."""

    expression: str
    end: int


class _NoFormula(Exception):
    """The text at this place is something else."""


def read_formula(text: str, start: int) -> Formula | None:
    """Return the longest formula at `start`; None without any operator: a number is no question."""
    reader = _Reader(text, start)
    try:
        expression = reader.read_sum()
    except _NoFormula:
        return None
    return Formula(expression, reader.end) if reader.has_operator else None


class _Reader:
    """Recursive descent: sum, product, power, postfix, atom."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self.end = start
        self._depth = 0
        self.has_operator = False

    def read_sum(self) -> str:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NoFormula
        left = self._read_product()
        while kind := self._take(*_SUMS):
            left = f"{left} {_SUMS[kind]} {self._read_product()}"
        self._depth -= 1
        return left

    def _read_product(self) -> str:
        left = self._read_power()
        while kind := self._take(*_PRODUCTS, "percent_of", "percent_off"):
            right = self._read_power()
            if kind == "percent_of":
                left = f"{left} / 100 * {right}"
            elif kind == "percent_off":
                left = f"{right} * (1 - {left} / 100)"
            else:
                left = f"{left} {_PRODUCTS[kind]} {right}"
        return left

    def _read_power(self) -> str:
        base = self._read_postfix()
        if self._take("power"):
            return f"{base} ** {self._read_nested(self._read_power)}"
        return base

    def _read_postfix(self) -> str:
        value = self._read_atom()
        while kind := self._take("percent", "squared", "cubed", "factorial"):
            value = {
                "percent": f"({value} / 100)",
                "squared": f"({value}) ** 2",
                "cubed": f"({value}) ** 3",
                "factorial": f"factorial({value})",
            }[kind]
        return value

    def _read_atom(self) -> str:
        match = self._match()
        kind = match.lastgroup if match else None
        if match is None or kind is None:
            raise _NoFormula
        self.end = match.end()
        if kind == "number":
            return match["number"].replace(",", "").lstrip("$€£ ")
        if kind == "word":
            return _WORDS[match["word"].lower()]
        if kind == "pi":
            return "pi"
        if kind == "minus":
            return f"-{self._read_nested(self._read_atom)}"
        return self._read_compound(kind, match[kind])

    def _read_compound(self, kind: str, text: str) -> str:
        if kind == "open":
            return f"({self._read_until_close()})"
        self.has_operator = True
        if kind == "function":
            return f"{text.rstrip('( ').lower()}({self._read_until_close()})"
        if kind == "root":
            return f"sqrt({self._read_nested(self._read_atom)})"
        if kind == "cube_root":
            return f"({self._read_nested(self._read_atom)}) ** (1 / 3)"
        raise _NoFormula

    def _read_until_close(self) -> str:
        inner = self.read_sum()
        if not self._take("close"):
            raise _NoFormula
        return inner

    def _read_nested(self, read: Callable[[], str]) -> str:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NoFormula
        value = read()
        self._depth -= 1
        return value

    def _take(self, *kinds: str) -> str | None:
        """Step over the next token when it is one of these and leaves something to read."""
        match = self._match()
        if match is None or match.lastgroup not in kinds:
            return None
        self.end = match.end()
        self.has_operator = self.has_operator or match.lastgroup != "close"
        return match.lastgroup

    def _match(self) -> re.Match[str] | None:
        space = _SPACE.match(self._text, self.end)
        return _TOKEN.match(self._text, space.end() if space else self.end)
