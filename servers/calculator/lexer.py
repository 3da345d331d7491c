"""Text of a calculation to tokens; literals become exact fractions here."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from servers.calculator.errors import CalculationError

MAX_CHARACTERS = 1_000
MAX_EXPONENT = 10_000
SYMBOLS_ALLOWED = "+ - * / // ^ ** % ! ( ) ,"

_SPELLINGS = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "π": "pi ", "√": "sqrt"}
    | {"²": "^2", "³": "^3", "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " "}
)
_BASED = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?")
_DECIMAL = re.compile(r"(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"\*\*|//|[-+*/^%!(),]")


@dataclass(frozen=True)
class Token:
    kind: Literal["number", "name", "symbol", "end"]
    text: str
    value: Fraction = Fraction(0)


def tokenize(text: str) -> list[Token]:
    """Return the tokens, the last of kind `end`.

    Raises:
        CalculationError: too long, or a character or number that has no meaning here.
    """
    if len(text) > MAX_CHARACTERS:
        raise CalculationError(
            f"the expression has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed"
        )
    return _Lexer(text.translate(_SPELLINGS).strip().strip("=").lower()).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tokens: list[Token] = []
        self._calls: list[bool] = []  # for each open bracket: are commas separators in it

    def run(self) -> list[Token]:
        while self._at < len(self._text):
            if self._text[self._at].isspace():
                self._at += 1
                continue
            token = self._number() or self._word() or self._symbol()
            if token is None:
                raise CalculationError(
                    f"unexpected character {self._text[self._at]!r}; allowed are numbers, "
                    f"names of functions and constants, and {SYMBOLS_ALLOWED}"
                )
            self._tokens.append(token)
        return [*self._tokens, Token("end", "the end")]

    def _take(self, match: re.Match[str] | None) -> str:
        if match is None:
            return ""
        self._at = match.end()
        return match.group()

    def _number(self) -> Token | None:
        if based := self._take(_BASED.match(self._text, self._at)):
            return Token("number", based, Fraction(int(based, 0)))
        in_call = bool(self._calls) and self._calls[-1]
        if not in_call and (grouped := self._take(_GROUPED.match(self._text, self._at))):
            return Token("number", grouped, Fraction(grouped.replace(",", "")))
        match = _DECIMAL.match(self._text, self._at)
        if match is None:
            return None
        if match[1] and abs(int(match[1])) > MAX_EXPONENT:
            raise CalculationError(f"the exponent of {match.group()} is over {MAX_EXPONENT:,}")
        text = self._take(match)
        return Token("number", text, Fraction(text.replace("_", "")))

    def _word(self) -> Token | None:
        name = self._take(_NAME.match(self._text, self._at))
        return Token("name", name) if name else None

    def _symbol(self) -> Token | None:
        symbol = self._take(_SYMBOL.match(self._text, self._at))
        if not symbol:
            return None
        if symbol == "(":
            self._calls.append(bool(self._tokens) and self._tokens[-1].kind == "name")
        elif symbol == ")" and self._calls:
            self._calls.pop()
        return Token("symbol", "^" if symbol == "**" else symbol)
