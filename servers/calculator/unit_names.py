"""Written units to pieces: what people write, in terms of the names that pint knows."""

import re

from servers.calculator.errors import CalculationError

MAX_CHARACTERS = 100

CURRENCIES = {
    "usd", "eur", "gbp", "jpy", "chf", "cny", "inr", "aud", "cad", "nzd", "sek", "nok", "dkk",
    "pln", "czk", "huf", "ron", "bgn", "brl", "mxn", "ars", "clp", "cop", "krw", "sgd", "hkd",
    "thb", "idr", "myr", "php", "vnd", "zar", "ils", "aed", "sar", "rub", "uah", "btc", "eth",
    "dollar", "dollars", "euro", "euros", "yen", "yuan", "rupee", "rupees", "pesos", "franc",
    "francs", "krona", "kroner", "bitcoin",
}  # fmt: skip

CASED_ALIASES = {
    # In these the capitals matter: pint reads the plain name as something else, or not at all.
    "Mb": "megabit", "Gb": "gigabit", "Kb": "kilobit", "kb": "kilobit", "KB": "kilobyte",
    "Cal": "kilocalorie", "AU": "astronomical_unit",
}  # fmt: skip
ALIASES = {
    "kmh": "kph", "kmph": "kph", "mps": "meter_per_second", "fps": "foot_per_second",
    "kbps": "kilobit_per_second", "mbps": "megabit_per_second", "gbps": "gigabit_per_second",
    "sqft": "square_foot", "sqm": "square_meter", "sqkm": "square_kilometer", "btu": "Btu",
    "sqmi": "square_mile", "sqin": "square_inch", "cbm": "cubic_meter", "fl_oz": "fluid_ounce",
    "us_gallon": "gallon", "us_gallons": "gallon", "us_pint": "pint", "us_cup": "cup",
    "uk_gallon": "imperial_gallon", "uk_gallons": "imperial_gallon", "uk_pint": "imperial_pint",
    "uk_pints": "imperial_pint", "us_ton": "short_ton", "uk_ton": "long_ton", "uk_mpg":
    "imperial_mpg", "us_mpg": "mpg", "ft_lbs": "foot_pound", "ftlb": "foot_pound",
    "degc": "degC", "degf": "degF", "deg_c": "degC", "deg_f": "degF", "centigrade": "degC",
    "celcius": "degC", "degree_celsius": "degC", "degrees_celsius": "degC",
    "degree_fahrenheit": "degF", "degrees_fahrenheit": "degF", "degree_centigrade": "degC",
}  # fmt: skip
TEMPERATURE_LETTERS = {"c": "degC", "f": "degF", "k": "kelvin"}

DEFINITIONS = (
    "mpg = mile / gallon",
    "imperial_mpg = mile / imperial_gallon",
    "liter_per_hundred_km = 0.01 * liter / kilometer",
    "meter_per_second = meter / second",
    "foot_per_second = foot / second",
    "square_kilometer = kilometer ** 2",
    "square_meter = meter ** 2",
    "cubic_meter = meter ** 3",
    "kilobit_per_second = 1000 * bit / second",
    "megabit_per_second = 1000000 * bit / second",
    "gigabit_per_second = 1000000000 * bit / second",
)

_PER_100_KM = re.compile(r"\b(?:l|liters?|litres?)\s*(?:/|per)\s*100\s*km\b", re.IGNORECASE)
_ALLOWED = re.compile(r"[A-Za-z0-9_ */^()-]+")
_PIECE = re.compile(r" *(?:([A-Za-z_]+)([23](?![0-9]))?|(-?[0-9]+)|(\*\*|[*/^()]))")
_SPELLINGS = str.maketrans(
    {"²": "^2", "³": "^3", "·": "*", "⋅": "*", "×": "*", "°": "deg", "−": "-"}
    | {"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"}
    | {"\N{OHM SIGN}": "ohm", "\N{GREEK CAPITAL LETTER OMEGA}": "ohm"}
)


def pieces(text: str) -> list[str]:
    """Split e.g. `kg m^2/s2` into names, whole numbers and `* / ^ ( )`.

    Raises:
        CalculationError: too long, a currency, or a character that no unit has.
    """
    if len(text) > MAX_CHARACTERS:
        raise CalculationError(f"a unit has at most {MAX_CHARACTERS} characters")
    if any(sign in text for sign in "$€£¥₹"):
        raise currency_error(text)
    plain = _PER_100_KM.sub("liter_per_hundred_km", text.translate(_SPELLINGS)).strip()
    if not _ALLOWED.fullmatch(plain):
        raise CalculationError(
            f"{text!r} is not a unit; write names with * / ^ and brackets, e.g. km/h or kg*m/s^2"
        )
    found: list[str] = []
    at = 0
    while at < len(plain):
        match = _PIECE.match(plain, at)
        if match is None:
            raise CalculationError(f"{plain[at:]!r} does not belong in a unit")
        at = match.end()
        name, power, number, symbol = match.groups()
        if name:
            found += ["/"] if name.lower() == "per" else [name]
            found += ["^", power] if power else []
        else:
            found.append(number or ("^" if symbol == "**" else symbol))
    return found


def currency_error(text: str) -> CalculationError:
    return CalculationError(
        f"{text.strip()!r} is a currency: rates change and this server has no network. "
        "Look the rate up elsewhere, then multiply with evaluate"
    )
