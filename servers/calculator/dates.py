"""Calendar arithmetic on days of the Gregorian calendar."""

from calendar import monthrange
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from servers.calculator.errors import CalculationError
from servers.calculator.operations import DateOperation

MAX_WORKDAYS = 200_000
_SATURDAY = 5


@dataclass(frozen=True)
class Span:
    """What to add; all of it may be negative."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0


@dataclass(frozen=True)
class DateAnswer:
    """`result` answers the question; the rest is what was found on the way."""

    result: str
    date: str | None = None
    weekday: str | None = None
    days: int | None = None
    years: int | None = None
    months: int | None = None
    remaining_days: int | None = None
    iso_week: str | None = None


def calculate(
    operation: DateOperation,
    day: str,
    end: str | None = None,
    span: Span | None = None,
    *,
    holidays: Collection[str] = (),
    zone: str = "UTC",
) -> DateAnswer:
    """Return the answer; `today` as a day is today's date in the zone.

    Raises:
        CalculationError: a day that does not exist, an unknown zone, or a date past year 9999.
    """
    span = span or Span()
    first = read_date(day, zone)
    free = {read_date(holiday, zone) for holiday in holidays}
    last = read_date(end or "today", zone)
    match operation:
        case "weekday":
            return _described(first)
        case "add":
            return _described(add(first, span))
        case "add_workdays":
            return _described(_add_workdays(first, span.days, free))
        case "workdays":
            count = _workdays(first, last, free)
            return DateAnswer(f"{count:,} workdays", days=count)
        case "diff":
            return _difference(first, last)
        case "age":
            return _age(first, last)


def read_date(text: str, zone: str) -> date:
    """Return the day that `YYYY-MM-DD`, `today`, `tomorrow` or `yesterday` names."""
    relative = {"yesterday": -1, "today": 0, "tomorrow": 1}.get(text.strip().lower())
    if relative is not None:
        return _today(zone) + timedelta(days=relative)
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError as error:
        raise CalculationError(
            f"{text[:40]!r} is not a date; write YYYY-MM-DD (a day that exists) or 'today'"
        ) from error


def add(day: date, span: Span) -> date:
    """Return the day after years and months (kept inside the month), then weeks and days."""
    month = day.year * 12 + day.month - 1 + span.years * 12 + span.months
    year, month = divmod(month, 12)
    try:
        last = monthrange(year, month + 1)[1]
        moved = date(year, month + 1, min(day.day, last))
        return moved + timedelta(weeks=span.weeks, days=span.days)
    except (ValueError, OverflowError) as error:
        raise CalculationError("the result is outside the years 1 to 9999") from error


def _today(zone: str) -> date:
    try:
        return datetime.now(UTC).astimezone(ZoneInfo(zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CalculationError(
            f"unknown time zone {zone[:40]!r}; write an IANA name, e.g. Europe/Lisbon"
        ) from error


def _difference(first: date, last: date) -> DateAnswer:
    early, late = min(first, last), max(first, last)
    months = (late.year - early.year) * 12 + late.month - early.month
    if add(early, Span(months=months)) > late:
        months -= 1
    rest = (late - add(early, Span(months=months))).days
    days = (last - first).days
    return DateAnswer(
        f"{days:,} days", days=days, years=months // 12, months=months % 12, remaining_days=rest
    )


def _age(born: date, day: date) -> DateAnswer:
    if day < born:
        raise CalculationError(f"{born} is after {day}: nobody is born in the future")
    found = _difference(born, day)
    return replace(found, result=f"{found.years} years")


def _workdays(first: date, last: date, free: Collection[date]) -> int:
    """Count Monday to Friday, both ends included, negative when `last` comes first."""
    early, late = min(first, last), max(first, last)
    weeks, rest = divmod((late - early).days + 1, 7)
    count = weeks * 5 + sum((early.weekday() + day) % 7 < _SATURDAY for day in range(rest))
    count -= sum(early <= day <= late and day.weekday() < _SATURDAY for day in free)
    return count if first <= last else -count


def _add_workdays(day: date, count: int, free: Collection[date]) -> date:
    if abs(count) > MAX_WORKDAYS:
        raise CalculationError(f"at most {MAX_WORKDAYS:,} workdays can be added")
    step = timedelta(days=1 if count > 0 else -1)
    try:
        while count:
            day += step
            if day.weekday() < _SATURDAY and day not in free:
                count -= step.days
    except OverflowError as error:
        raise CalculationError("the result is outside the years 1 to 9999") from error
    return day


def _described(day: date) -> DateAnswer:
    year, week, _ = day.isocalendar()
    name = f"{day:%A}"
    return DateAnswer(
        f"{name}, {day}", date=str(day), weekday=name, iso_week=f"{year:04d}-W{week:02d}"
    )
