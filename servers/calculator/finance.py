"""Money over time: loans, growth, net present value, rates of return."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from servers.calculator.errors import CalculationError
from servers.calculator.numbers import Arithmetic, decimal_text, to_fraction
from servers.calculator.operations import FinanceOperation

MAX_CASHFLOWS = 1_000
MAX_PERIODS = 10_000
_DIGITS = 40
_HALVINGS = 60
_SHOWN = 15
_CENTS = Fraction(1, 100)


@dataclass(frozen=True)
class Terms:
    """What the operations may need; each says which of these are missing."""

    amount: Fraction | None = None
    end_amount: Fraction | None = None
    rate_percent: Fraction | None = None
    years: Fraction | None = None
    periods_per_year: int = 12
    contribution: Fraction = Fraction(0)
    cashflows: Sequence[Fraction] = ()


@dataclass(frozen=True)
class FinanceAnswer:
    """`result` with what it means; `details` are the figures beside it."""

    result: str
    meaning: str
    details: dict[str, str] = field(default_factory=dict[str, str])


def calculate(operation: FinanceOperation, terms: Terms) -> FinanceAnswer:
    """Return the answer; money is rounded to cents, percentages to 15 digits.

    Raises:
        CalculationError: a missing or impossible term, or no answer exists.
    """
    return _OPERATIONS[operation](terms)


def _loan(terms: Terms) -> FinanceAnswer:
    """The annuity: equal payments at the end of each period."""
    amount = _positive("amount", terms.amount)
    rate, periods = _rate(terms), _periods(terms)
    if rate == 0:
        payment = amount / periods
    else:
        shrink = 1 - to_fraction(Arithmetic(_DIGITS).power(1 + rate, Fraction(-periods)))
        payment = amount * rate / shrink
    total = payment * periods
    return FinanceAnswer(
        _money(payment),
        f"payment each period, {periods} payments",
        {"total_paid": _money(total), "total_interest": _money(total - amount)},
    )


def _compound(terms: Terms) -> FinanceAnswer:
    """Growth with interest each period; contributions come at the end of each period."""
    amount = _given("amount", terms.amount)
    rate, periods = _rate(terms), _periods(terms)
    growth = to_fraction(Arithmetic(_DIGITS).power(1 + rate, Fraction(periods)))
    added = terms.contribution * ((growth - 1) / rate if rate else periods)
    end = amount * growth + added
    paid = amount + terms.contribution * periods
    return FinanceAnswer(
        _money(end),
        f"amount after {periods} periods",
        {"total_paid_in": _money(paid), "total_interest": _money(end - paid)},
    )


def _npv(terms: Terms) -> FinanceAnswer:
    rate = _given("rate_percent", terms.rate_percent) / 100
    if rate <= -1:
        raise CalculationError("rate_percent must be greater than -100")
    value = _present_value(_cashflows(terms), _decimal(rate))
    return FinanceAnswer(_money(Fraction(value)), "net present value; flow 0 is now")


def _irr(terms: Terms) -> FinanceAnswer:
    flows = _cashflows(terms)
    changes = _sign_changes(flows)
    if not changes:
        raise CalculationError(
            "there is no rate of return: cashflows need money out (negative) and money in"
        )
    low, high = _bracket(flows)
    falls = _present_value(flows, low) > 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_low = (_present_value(flows, middle) > 0) == falls
        low, high = (middle, high) if is_low else (low, middle)
    meaning = "internal rate of return in percent per period"
    if changes > 1:
        meaning += "; the flows change sign more than once, so other rates may fit too"
    return FinanceAnswer(decimal_text(Fraction(low + high) * 50, 12), meaning)


def _percent_change(terms: Terms) -> FinanceAnswer:
    start, end = _given("amount", terms.amount), _given("end_amount", terms.end_amount)
    if start == 0:
        raise CalculationError("a change from 0 has no percentage")
    change = (end - start) / abs(start) * 100
    return FinanceAnswer(
        decimal_text(change, _SHOWN),
        "percent change from amount to end_amount",
        {"difference": decimal_text(end - start, _SHOWN)},
    )


def _cagr(terms: Terms) -> FinanceAnswer:
    start = _positive("amount", terms.amount)
    end = _positive("end_amount", terms.end_amount)
    years = _positive("years", terms.years)
    growth = to_fraction(Arithmetic(_DIGITS).power(end / start, 1 / years))
    return FinanceAnswer(
        decimal_text((growth - 1) * 100, _SHOWN), "compound annual growth rate in percent"
    )


def _margin(terms: Terms) -> FinanceAnswer:
    cost, price = _positive("amount", terms.amount), _positive("end_amount", terms.end_amount)
    profit = price - cost
    return FinanceAnswer(
        decimal_text(profit / price * 100, _SHOWN),
        "profit margin in percent of the price; amount is the cost, end_amount the price",
        {"profit": _money(profit), "markup_percent": decimal_text(profit / cost * 100, _SHOWN)},
    )


_OPERATIONS: dict[FinanceOperation, Callable[[Terms], FinanceAnswer]] = {
    "loan": _loan,
    "compound": _compound,
    "npv": _npv,
    "irr": _irr,
    "percent_change": _percent_change,
    "cagr": _cagr,
    "margin": _margin,
}


def _given(name: str, value: Fraction | None) -> Fraction:
    if value is None:
        raise CalculationError(f"{name} is missing for this op")
    return value


def _positive(name: str, value: Fraction | None) -> Fraction:
    if _given(name, value) <= 0:
        raise CalculationError(f"{name} must be greater than 0")
    return _given(name, value)


def _rate(terms: Terms) -> Fraction:
    """Return the rate per period as a share: 6 percent a year, monthly, is 0.005."""
    if not 1 <= terms.periods_per_year <= 366:
        raise CalculationError("periods_per_year must be from 1 to 366")
    percent = _given("rate_percent", terms.rate_percent)
    if not -100 < percent <= 10_000:
        raise CalculationError("rate_percent must be over -100 and at most 10,000")
    return percent / 100 / terms.periods_per_year


def _periods(terms: Terms) -> int:
    periods = _positive("years", terms.years) * terms.periods_per_year
    if not 1 <= round(periods) <= MAX_PERIODS:
        raise CalculationError(
            f"years times periods_per_year must be from 1 to {MAX_PERIODS:,} periods"
        )
    return round(periods)


def _cashflows(terms: Terms) -> list[Decimal]:
    if not 1 <= len(terms.cashflows) <= MAX_CASHFLOWS:
        raise CalculationError(f"cashflows must hold 1 to {MAX_CASHFLOWS:,} amounts, first is now")
    return [_decimal(flow) for flow in terms.cashflows]


def _decimal(value: Fraction) -> Decimal:
    with localcontext(prec=_DIGITS):
        return Decimal(value.numerator) / value.denominator


def _present_value(flows: Sequence[Decimal], rate: Decimal) -> Decimal:
    """Discount by Horner's rule, with 40 digits: exact fractions would grow without need."""
    with localcontext(prec=_DIGITS):
        value = Decimal(0)
        for flow in reversed(flows):
            value = value / (1 + rate) + flow
        return value


def _sign_changes(flows: Sequence[Decimal]) -> int:
    signs = [flow > 0 for flow in flows if flow]
    return sum(left != right for left, right in pairwise(signs))


def _bracket(flows: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    """Return two rates between which the net present value crosses zero."""
    percents = (-99, -90, -50, -20, 0, 5, 10, 20, 50, 100, 1_000, 10_000, 1_000_000)
    rates = [Decimal(percent) / 100 for percent in percents]
    for low, high in pairwise(rates):
        if (_present_value(flows, low) > 0) != (_present_value(flows, high) > 0):
            return low, high
    raise CalculationError("no rate of return was found from -99 % to 1,000,000 % per period")


def _money(value: Fraction) -> str:
    """Return two decimals, half away from zero, as bills are rounded."""
    cents = abs(value) / _CENTS + Fraction(1, 2)
    whole = cents.numerator // cents.denominator
    sign = "-" if value < 0 and whole else ""
    return f"{sign}{whole // 100}.{whole % 100:02d}"
