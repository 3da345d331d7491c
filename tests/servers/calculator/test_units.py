"""Conversions people ask for, and those that must be refused."""

from fractions import Fraction

import pytest

from servers.calculator.errors import CalculationError
from servers.calculator.units import Units


@pytest.fixture(scope="module")
def units() -> Units:
    return Units()


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "result"),
    [
        (100, "degF", "degC", "37.7777777777778"),
        (100, "°F", "C", "37.7777777777778"),
        (20, "celsius", "K", "293.15"),
        (10, "degC/min", "degF/min", "18"),
        (90, "km/h", "m/s", "25"),
        (60, "mph", "kilometers per hour", "96.56064"),
        (1, "inch", "cm", "2.54"),
        (10, "m2", "sq ft", "107.639104167097"),
        (2, "fluid ounces", "ml", "59.147059125"),
        (1, "uk pint", "ml", "568.26125"),
        (30, "mpg", "L/100km", "7.84048611111111"),
        (8, "l/100 km", "mpg", "29.4018229166667"),
        (1, "GB", "MiB", "953.67431640625"),
        (100, "Mbps", "MB/s", "12.5"),
        (60, "rpm", "Hz", "1"),
        (60, "rpm", "rad/s", "6.28318530717959"),
        (1, "kg m / s2", "N", "1"),
        (1, "J/(kg K)", "cal/(g degC)", "0.000239005736137667"),
        (1, "BTU", "kJ", "1.055056"),
        (5, "F", "uF", "5000000"),
        (1, "Pounds", "KG", "0.45359237"),
    ],
)
def test_everyday_units_are_understood(
    units: Units, value: int, from_unit: str, to_unit: str, result: str
) -> None:
    assert units.convert(Fraction(value), from_unit, to_unit)[0] == result


def test_ambiguous_units_are_named_in_full(units: Units) -> None:
    assert units.convert(Fraction(1), "ton", "kg")[1] == "US_short_ton"
    assert units.convert(Fraction(1), "gallon", "L") == ("3.785411784", "US_gallon", "liter")


@pytest.mark.parametrize(
    ("from_unit", "to_unit", "says"),
    [
        ("USD", "EUR", "currency"),
        ("€", "USD", "multiply with evaluate"),
        ("eur/kg", "usd/lb", "currency"),
        ("m", "s", "measure different things"),
        ("byte", "radian", "measure different things"),
        ("metrr", "m", "Did you mean"),
        ("m^99", "m^99", "from -9 to 9"),
        ("m^99999999999", "m", "from -9 to 9"),
        ("m.__class__", "m", "is not a unit"),
        ("__import__('os')", "m", "is not a unit"),
        ("(" * 60 + "m", "m", "nested over 10 deep"),
        ("m" * 101, "m", "at most 100 characters"),
        ("2 m", "m", "put numbers in value"),
        ("", "m", "is not a unit"),
        ("m/", "s", "stops too early"),
        ("m)", "s", "unexpected ')'"),
    ],
)
def test_a_refusal_says_why(units: Units, from_unit: str, to_unit: str, says: str) -> None:
    with pytest.raises(CalculationError) as refusal:
        units.convert(Fraction(1), from_unit, to_unit)

    assert says in str(refusal.value)


def test_nothing_is_colder_than_absolute_zero(units: Units) -> None:
    with pytest.raises(CalculationError, match="below absolute zero"):
        units.convert(Fraction(-500), "degC", "degF")
