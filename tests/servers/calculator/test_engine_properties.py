"""What holds for every input: exactness, and refusal as the only failure."""

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.calculator.dates import calculate, read_date
from servers.calculator.errors import CalculationError
from servers.calculator.expression import evaluate
from servers.calculator.functions import CONSTANTS, FUNCTIONS
from servers.calculator.numbers import exact_root
from servers.calculator.statistics import describe
from servers.calculator.units import Units

numbers = st.decimals(-1_000, 1_000, places=3).map(lambda value: f"{value:f}")
trees = st.recursive(
    numbers,
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(
        lambda parts: f"({parts[0]}){parts[1]}({parts[2]})"
    ),
    max_leaves=12,
)
pieces = st.sampled_from(
    [*FUNCTIONS, *CONSTANTS, *"0123456789.,+-*/^%!() ", "**", "//", "of", "e9"]
)
calculations = st.lists(pieces, max_size=30).map("".join)
unit_texts = st.lists(
    st.sampled_from(["m", "degC", "degF", "hertz", "rpm", "kg", "/", "*", "^", "2", "(", ")"])
    | st.text(max_size=3),
    max_size=8,
).map("".join)


def _by_python(expression: str) -> Fraction:
    """Compute the same tree with fractions, by Python's own parser."""
    quoted = expression
    names: dict[str, Fraction] = {}
    for index, text in enumerate(_literals(expression)):
        names[f"n{index}"] = Fraction(text)
        quoted = quoted.replace(f"({text})", f"(n{index})", 1)
    return eval(quoted, {"__builtins__": {}}, names)


def _literals(expression: str) -> list[str]:
    return [text for text in expression.replace(")", "(").split("(") if text not in ("", *"+-*/")]


@given(trees)
@settings(max_examples=80, deadline=None)
def test_results_equal_pythons_fractions(expression: str) -> None:
    wrapped = f"({expression})"
    try:
        expected = _by_python(wrapped)
    except ZeroDivisionError:
        with pytest.raises(CalculationError, match="division by zero"):
            evaluate(wrapped)
        return

    assert Fraction(evaluate(wrapped, mode="exact").result) == expected


@given(st.text(max_size=200) | calculations)
@settings(max_examples=200, deadline=2_000)
def test_any_text_is_answered_or_refused(text: str) -> None:
    with contextlib.suppress(CalculationError):
        assert evaluate(text, precision=20).result


@given(st.integers(0, 10**40), st.integers(1, 64))
def test_roots_of_powers_are_found_exactly(base: int, degree: int) -> None:
    assert exact_root(Fraction(base) ** degree, degree) == base
    if base > 0 and degree > 1:
        assert exact_root(Fraction(base) ** degree + 1, degree) is None


@pytest.fixture(scope="module")
def units() -> Units:
    return Units()


@given(text=unit_texts)
@settings(max_examples=100, deadline=None)
def test_any_unit_is_converted_or_refused(units: Units, text: str) -> None:
    with contextlib.suppress(CalculationError):
        units.convert(Fraction(3), text, "m")
    with contextlib.suppress(CalculationError):
        units.convert(Fraction(3), text, text)


@given(value=st.integers(-(10**12), 10**12), pair=st.sampled_from(["m ft", "kg lb", "degC degF"]))
@settings(deadline=None)
def test_a_conversion_there_and_back_is_the_same(units: Units, value: int, pair: str) -> None:
    there, back = pair.split()
    start = Fraction(abs(value), 1_000)

    text, _, _ = units.convert(start, there, back)
    result, _, _ = units.convert(Fraction(text), back, there)

    assert abs(Fraction(result) - start) <= (start + 500) / 10**13


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_date_is_read_or_refused(text: str, zone: str) -> None:
    with contextlib.suppress(CalculationError):
        read_date(text, zone)


@given(st.dates().map(str), st.dates().map(str))
def test_a_difference_of_dates_is_signed(first: str, last: str) -> None:
    there, back = calculate("diff", first, last), calculate("diff", last, first)

    assert there.days is not None
    assert back.days == -there.days
    assert (there.years, there.months) == (back.years, back.months)


@given(st.lists(st.decimals(-(10**6), 10**6, places=2), min_size=2, max_size=30))
def test_statistics_are_those_of_the_definition(values: list[object]) -> None:
    exact = [Fraction(str(value)) for value in values]

    found = describe(exact, ["sum", "mean", "population_variance", "median"])

    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    ordered, half = sorted(exact), len(exact) // 2
    median = ordered[half] if len(exact) % 2 else (ordered[half - 1] + ordered[half]) / 2
    assert Fraction(found["sum"]) == sum(exact)
    assert abs(Fraction(found["mean"]) - mean) <= abs(mean) / 10**14
    assert abs(Fraction(found["population_variance"]) - variance) <= variance / 10**14
    assert Fraction(found["median"]) == median
