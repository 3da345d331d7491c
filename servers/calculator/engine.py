"""Every operation by name, from JSON values to JSON values; it runs inside a worker."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from servers.calculator import dates, finance, statistics
from servers.calculator.expression import evaluate
from servers.calculator.numbers import from_float

if TYPE_CHECKING:
    from servers.calculator.units import Units

Arguments = dict[str, Any]
"""JSON values that the server's schemas have checked."""


class Engine:
    """The operations; units are loaded when first asked for."""

    def __init__(self) -> None:
        self._units: Units | None = None
        self._operations: dict[str, Callable[[Arguments], Arguments]] = {
            "evaluate": lambda arguments: asdict(evaluate(**arguments)),
            "load_units": self._load_units,
            "convert_units": self._convert_units,
            "date_calc": _date_calc,
            "statistics": _statistics,
            "finance": _finance,
        }

    def run(self, operation: str, arguments: Arguments) -> Arguments:
        """Return what the operation found.

        Raises:
            CalculationError: the arguments have no answer.
        """
        return self._operations[operation](arguments)

    def _load_units(self, _: Arguments) -> Arguments:
        self._loaded_units()
        return {}

    def _convert_units(self, arguments: Arguments) -> Arguments:
        result, from_unit, to_unit = self._loaded_units().convert(
            from_float(arguments["value"]), arguments["from_unit"], arguments["to_unit"]
        )
        return {"result": result, "from_unit": from_unit, "to_unit": to_unit}

    def _loaded_units(self) -> "Units":
        if self._units is None:
            # Imported here: pint costs 14 MB and 0.4 s, which most workers never need.
            from servers.calculator.units import Units  # noqa: PLC0415

            self._units = Units()
        return self._units


def _date_calc(arguments: Arguments) -> Arguments:
    span = dates.Span(**arguments.pop("span"))
    return asdict(dates.calculate(**arguments, span=span))


def _statistics(arguments: Arguments) -> Arguments:
    values = [from_float(value) for value in arguments["values"]]
    return {"results": statistics.describe(values, arguments["ops"] or statistics.DEFAULT)}


def _finance(arguments: Arguments) -> Arguments:
    terms = finance.Terms(
        periods_per_year=arguments["periods_per_year"],
        cashflows=[from_float(flow) for flow in arguments["cashflows"]],
        **{
            name: from_float(arguments[name])
            for name in ("amount", "end_amount", "rate_percent", "years", "contribution")
            if arguments[name] is not None
        },
    )
    return asdict(finance.calculate(arguments["operation"], terms))
