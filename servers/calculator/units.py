"""Conversion between units, exact wherever the definitions of the units are."""

from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

import pint

from servers.calculator.errors import CalculationError
from servers.calculator.numbers import decimal_text
from servers.calculator.unit_names import (
    ALIASES,
    CASED_ALIASES,
    CURRENCIES,
    DEFINITIONS,
    TEMPERATURE_LETTERS,
    currency_error,
    pieces,
)

DIGITS = 15
MAX_EXPONENT = 9
MAX_DEPTH = 10
_POWERS_OF_WORDS = {"square": 2, "sq": 2, "cubic": 3}
_SCALES_WITH_ZERO_POINT = ("degree_Celsius", "degree_Fahrenheit", "degree_Reaumur")
_AMERICAN = ("gallon", "quart", "pint", "cup", "fluid_ounce", "tablespoon", "teaspoon", "bushel")

Factors = dict[str, int]
"""A unit as pint's names and their powers: `{"kilometer": 1, "hour": -1}`."""


class Units:
    """The known units."""

    def __init__(self) -> None:
        # Any: pint types its registry by float; with Fraction an inch is exactly 127/50 cm.
        exact: Any = Fraction
        self._registry: Any = pint.UnitRegistry(non_int_type=exact)
        for definition in DEFINITIONS:
            self._registry.define(definition)

    def convert(self, value: Fraction, from_unit: str, to_unit: str) -> tuple[str, str, str]:
        """Return the converted number and the full names of both units.

        Raises:
            CalculationError: an unknown unit, a currency, or units of different kinds.
        """
        source, target = self._parse_both(from_unit, to_unit)
        amount = self._registry.Quantity(value, self._unit(source))
        if _has_zero_point(source) and amount.to("kelvin").magnitude < 0:
            raise CalculationError("that is below absolute zero (-273.15 degC, -459.67 degF)")
        source_root, target_root = self._root(source), self._root(target)
        if {source_root.get("meter"), target_root.get("meter")} == {2, -2}:
            if not value:
                raise CalculationError(f"0 {_name_of(source)} has no counterpart")
            amount, source_root = 1 / amount, _inverse(source_root)
        if source_root != target_root:
            raise _differ(source, target)
        try:
            result = Fraction(amount.to(self._unit(target)).magnitude)
        except (pint.PintError, ArithmeticError, ValueError) as error:
            raise _differ(source, target) from error
        return decimal_text(result, DIGITS), _name_of(source), _name_of(target)

    def find(self, name: str) -> str | None:
        """Return pint's name for what people write, None when there is no such unit."""
        lower = name.lower()
        for candidate in (CASED_ALIASES.get(name), ALIASES.get(lower), name, lower):
            if candidate is None:
                continue
            try:
                return str(self._registry.parse_units(candidate))
            except pint.UndefinedUnitError:
                continue
        return None

    def unknown(self, name: str) -> CalculationError:
        """Return the error that names the nearest units."""
        if name.lower() in CURRENCIES:
            return currency_error(name)
        close = get_close_matches(name.lower(), [str(unit) for unit in self._registry], n=4)
        meant = f" Did you mean {', '.join(close)}?" if close else ""
        return CalculationError(
            f"unknown unit {name!r}.{meant} Write e.g. km, mile, kg, lb, degF, L/100km, m/s, kWh"
        )

    def _parse_both(self, from_unit: str, to_unit: str) -> tuple[Factors, Factors]:
        both = [_Reader(self, pieces(text)).unit() for text in (from_unit, to_unit)]
        letters = [text.strip().lstrip("°").lower() for text in (from_unit, to_unit)]
        # Alone, C and F are coulomb and farad; beside each other or a temperature they are not.
        if all(
            letter in TEMPERATURE_LETTERS or self._root(unit) == {"kelvin": 1}
            for letter, unit in zip(letters, both, strict=True)
        ):
            both = [
                _Reader(self, [TEMPERATURE_LETTERS[letter]]).unit()
                if letter in TEMPERATURE_LETTERS
                else unit
                for letter, unit in zip(letters, both, strict=True)
            ]
        roots = [self._root(unit) for unit in both]
        # Pint takes 1 Hz for 1 rad/s; beside an angular speed it is one turn a second.
        if any("radian" in root for root in roots):
            both = [_hertz_as_turns(unit) for unit in both]
        return both[0], both[1]

    def _unit(self, factors: Factors) -> Any:
        return self._registry.UnitsContainer(factors)

    def _root(self, factors: Factors) -> dict[str, int]:
        """Return base units down to radian and bit, which pint would let pass for numbers."""
        _, unit = self._registry.get_root_units(self._unit(factors))
        return dict(self._registry.Quantity(1, unit).unit_items())


class _Reader:
    """Builds one unit from pieces: factors side by side multiply, `/` divides by the next one."""

    def __init__(self, units: Units, found: list[str]) -> None:
        self._rest = found
        self._units = units
        self._depth = 0

    def unit(self) -> Factors:
        factors = self._product()
        if self._rest:
            raise CalculationError(f"unexpected {self._rest[0]!r} in the unit")
        if sum(map(abs, factors.values())) == 1 and 1 in factors.values():
            return factors
        # In a compound, a degree is a difference: 10 degC/min has no zero point.
        return {
            f"delta_{name}" if name in _SCALES_WITH_ZERO_POINT else name: power
            for name, power in factors.items()
        }

    def _product(self) -> Factors:
        factors = self._factor()
        while self._rest and self._rest[0] != ")":
            symbol = self._rest.pop(0) if self._rest[0] in ("*", "/") else "*"
            for name, power in self._factor().items():
                factors[name] = factors.get(name, 0) + (-power if symbol == "/" else power)
        return factors

    def _factor(self) -> Factors:
        piece = self._rest.pop(0) if self._rest else ""
        if piece == "(":
            factors = self._bracket()
        elif piece.strip("_")[:1].isalpha():
            factors = self._name(piece)
        elif piece == "1" and self._rest[:1] == ["/"]:
            return {}
        elif piece:
            raise CalculationError(f"a unit cannot have {piece!r} there; put numbers in value")
        else:
            raise CalculationError("the unit stops too early")
        exponent = self._exponent()
        return {name: power * exponent for name, power in factors.items()}

    def _bracket(self) -> Factors:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CalculationError(f"brackets are nested over {MAX_DEPTH} deep")
        factors = self._product()
        if not self._rest:
            raise CalculationError("a ')' is missing in the unit")
        self._rest.pop(0)
        self._depth -= 1
        return factors

    def _name(self, first: str) -> Factors:
        """Take as many words as make one name, e.g. `fluid ounces`; `square` squares the next."""
        power = _POWERS_OF_WORDS.get(first.lower(), 1)
        if power != 1 and self._rest and self._rest[0].isalpha():
            first = self._rest.pop(0)
        words = 0
        while words < min(len(self._rest), 2) and self._rest[words].isalpha():
            words += 1
        for count in range(words, -1, -1):
            name = self._units.find("_".join([first, *self._rest[:count]]))
            if name is not None:
                del self._rest[:count]
                return {name: power}
        raise self._units.unknown(first)

    def _exponent(self) -> int:
        if not self._rest or self._rest[0] != "^":
            return 1
        self._rest.pop(0)
        text = self._rest.pop(0) if self._rest else ""
        if len(text) > 2 or not text.removeprefix("-").isdecimal() or abs(int(text)) > MAX_EXPONENT:
            raise CalculationError(
                f"an exponent in a unit is a whole number from -{MAX_EXPONENT} to {MAX_EXPONENT}"
            )
        return int(text)


def _hertz_as_turns(factors: Factors) -> Factors:
    if len(factors) != 1 or not (name := next(iter(factors))).endswith("hertz"):
        return factors
    power = factors[name]
    return {f"{name.removesuffix('hertz')}turn": power, "second": -power}


def _has_zero_point(factors: Factors) -> bool:
    return any(name in _SCALES_WITH_ZERO_POINT for name in factors)


def _inverse(root: Mapping[str, int]) -> dict[str, int]:
    return {name: -power for name, power in root.items()}


def _differ(source: Factors, target: Factors) -> CalculationError:
    return CalculationError(
        f"cannot convert {_name_of(source)} to {_name_of(target)}: they measure different things"
    )


def _name_of(factors: Factors) -> str:
    above = [_powered(name, power) for name, power in factors.items() if power > 0]
    below = [_powered(name, -power) for name, power in factors.items() if power < 0]
    return "/".join(["*".join(above) or "1", *below])


def _powered(name: str, power: int) -> str:
    shown = f"US_{name}" if name in _AMERICAN else "US_short_ton" if name == "ton" else name
    return shown if power == 1 else f"{shown}^{power}"
