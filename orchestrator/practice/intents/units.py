"""Unit conversion: "5 miles in km", "how many feet are in a mile"."""

import re
from datetime import date

from orchestrator.practice.intents.wish import Wish

_SPELLINGS = {
    "mile": "mi mile miles",
    "kilometer": "km kilometer kilometers kilometre kilometres",
    "meter": "m meter meters metre metres",
    "centimeter": "cm centimeter centimeters centimetre centimetres",
    "millimeter": "mm millimeter millimeters millimetre millimetres",
    "inch": "in inch inches",
    "foot": "ft foot feet",
    "yard": "yd yard yards",
    "nautical_mile": "nmi nautical_mile nautical_miles",
    "kilogram": "kg kilo kilos kilogram kilograms",
    "gram": "g gram grams",
    "milligram": "mg milligram milligrams",
    "tonne": "tonne tonnes",
    "pound": "lb lbs pound pounds",
    "ounce": "oz ounce ounces",
    "stone": "stone stones",
    "celsius": "c °c celsius degc degrees_c degrees_celsius",
    "fahrenheit": "f °f fahrenheit degf degrees_f degrees_fahrenheit",
    "kelvin": "k kelvin kelvins",
    "liter": "l liter liters litre litres",
    "milliliter": "ml milliliter milliliters millilitre millilitres",
    "gallon": "gal gallon gallons",
    "pint": "pint pints",
    "cup": "cup cups",
    "tablespoon": "tbsp tablespoon tablespoons",
    "teaspoon": "tsp teaspoon teaspoons",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "year": "year years",
    "kilometer / hour": "km/h kmh kph kilometers_per_hour kilometres_per_hour",
    "mile / hour": "mph miles_per_hour",
    "meter / second": "m/s meters_per_second metres_per_second",
    "knot": "knot knots",
    "hectare": "ha hectare hectares",
    "acre": "acre acres",
    "joule": "joule joules",
    "kilocalorie": "kcal kilocalorie kilocalories",
    "kilowatt_hour": "kwh kilowatt_hour kilowatt_hours",
    "bar": "bar bars",
    "psi": "psi",
    "byte": "byte bytes",
    "kilobyte": "kb kilobyte kilobytes",
    "megabyte": "mb megabyte megabytes",
    "gigabyte": "gb gigabyte gigabytes",
    "mebibyte": "mib mebibyte mebibytes",
    "gibibyte": "gib gibibyte gibibytes",
}
_NAMES = {
    spelling.replace("_", " "): name
    for name, spellings in _SPELLINGS.items()
    for spelling in spellings.split()
}
_UNIT = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
_NUMBER = r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?"
_PATTERNS = (
    re.compile(
        rf"(?<![\w.,-])(?P<value>{_NUMBER})\s*(?:degrees\s+)?(?P<source>{_UNIT})\s+"
        rf"(?:to|in|into|as)\s+(?:degrees\s+)?(?P<target>{_UNIT})(?![\w/])",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\bhow\s+many\s+(?P<target>{_UNIT})\s+(?:are\s+there\s+in|(?:is|are|make)(?:\s+in)?|in)"
        rf"\s+(?P<value>{_NUMBER}|an?|one)\s*(?P<source>{_UNIT})(?![\w/])",
        re.IGNORECASE,
    ),
)


def find(text: str, today: date) -> list[Wish]:
    """Return every conversion between units of the table above."""
    del today
    return [_wish(match) for pattern in _PATTERNS for match in pattern.finditer(text)]


def _wish(match: re.Match[str]) -> Wish:
    number = match["value"].replace(",", "").lower()
    value = 1 if number in ("a", "an", "one") else float(number)
    values = {
        "value": int(value) if value == int(value) else value,
        "from_unit": _NAMES[match["source"].lower()],
        "to_unit": _NAMES[match["target"].lower()],
    }
    label = f"{match['value']} {match['source']} in {match['target']}"
    return Wish(match.start(), match.end(), "calculator__convert_units", label, values)
