"""The calculator's tools."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastmcp import FastMCP
from pydantic import Field

from servers.calculator.client import CalculatorClient, open_calculator
from servers.calculator.models import (
    Conversion,
    DateResult,
    Evaluation,
    FinanceResult,
    StatisticsResult,
)
from servers.calculator.operations import DateOperation, FinanceOperation, Mode, Statistic
from servers.kit.server import FleetServer

Unit = Annotated[str, Field(description="E.g. km/h, lb, degF, sq ft, L/100km.", max_length=100)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float | None, Field(allow_inf_nan=False)]


@asynccontextmanager
async def _lifespan(_: FastMCP[CalculatorClient]) -> AsyncGenerator[CalculatorClient]:
    async with open_calculator() as client:
        yield client


mcp = FleetServer(
    "calculator",
    instructions="Use these tools for every number you would otherwise work out in your head.",
    lifespan=_lifespan,
)


@mcp.fleet_tool
async def evaluate(
    expression: Annotated[str, Field(description="At most 1,000 characters.", max_length=1000)],
    precision: Annotated[int, Field(description="Significant digits.", ge=1, le=1000)] = 30,
    mode: Annotated[
        Mode,
        Field(description="exact: a fraction or an error; decimal: rounded digits only."),
    ] = "auto",
) -> Evaluation:
    """Work out a written calculation exactly: "17% of 2,340", "200 + 10%", "sqrt(2)^3", "52!/47!".

    Knows + - * / // ^ !, percent, brackets, pi, e, and functions: sqrt cbrt root exp ln log10 log2
    log(x, base) sin cos tan asin acos atan sinh cosh tanh (radians) radians degrees abs round floor
    ceil min max sum mean gcd lcm mod factorial comb perm gamma hypot. log(x) is the natural one.
    a % b before a number is the remainder. No variables, no units.
    """
    arguments = {"expression": expression, "precision": precision, "mode": mode}
    return Evaluation(**await mcp.lifespan_value.calculate("evaluate", arguments))


@mcp.fleet_tool
async def convert_units(
    value: Annotated[Number, Field(description="How much.")], from_unit: Unit, to_unit: Unit
) -> Conversion:
    """Convert a measured value: 100 degF to degC, 90 km/h to m/s, 30 mpg to L/100km, 5 GB to MiB.

    Plain gallon, pint, cup and ton are US; write imperial_gallon, tonne. No currencies.
    """
    arguments = {"value": value, "from_unit": from_unit, "to_unit": to_unit}
    return Conversion(**await mcp.lifespan_value.calculate("convert_units", arguments))


@mcp.fleet_tool
async def date_calc(
    op: Annotated[DateOperation, Field(description="What to do, see above.")],
    date: Annotated[str, Field(description="YYYY-MM-DD or today.", max_length=40)],
    end: Annotated[
        str | None, Field(description="For diff, workdays, age; default today.", max_length=40)
    ] = None,
    years: Annotated[int, Field(description="For add.")] = 0,
    months: Annotated[int, Field(description="For add.")] = 0,
    weeks: Annotated[int, Field(description="For add.")] = 0,
    days: Annotated[int, Field(description="For add and add_workdays; may be negative.")] = 0,
    holidays: Annotated[
        list[str] | None, Field(description="Days that are no workdays.", max_length=400)
    ] = None,
    zone: Annotated[str, Field(description="IANA zone of today.", max_length=64)] = "UTC",
) -> DateResult:
    """Calculate with calendar days.

    diff: from date to end. add: years, months, weeks, days to date. workdays: Monday to Friday from
    date to end, both counted. add_workdays: the day that many workdays later. weekday: day and ISO
    week of date. age: of someone born on date, at end.
    """
    arguments = {
        "operation": op, "day": date, "end": end, "holidays": holidays or [], "zone": zone,
        "span": {"years": years, "months": months, "weeks": weeks, "days": days},
    }  # fmt: skip
    return DateResult(**await mcp.lifespan_value.calculate("date_calc", arguments))


@mcp.fleet_tool
async def statistics(
    values: Annotated[
        list[Number], Field(description="The numbers.", min_length=1, max_length=10_000)
    ],
    ops: Annotated[
        list[Statistic] | None,
        Field(description="Default: count sum mean median min max stdev.", max_length=21),
    ] = None,
) -> StatisticsResult:
    """Describe up to 10,000 numbers. variance and stdev are of a sample (n - 1)."""
    return StatisticsResult(
        **await mcp.lifespan_value.calculate("statistics", {"values": values, "ops": ops})
    )


@mcp.fleet_tool
async def finance(
    op: Annotated[FinanceOperation, Field(description="What to do, see above.")],
    amount: Annotated[Amount, Field(description="Loan, start value, or cost.")] = None,
    end_amount: Annotated[Amount, Field(description="End value, or price.")] = None,
    rate_percent: Annotated[
        Amount, Field(description="5 is 5 %: a year; for npv, a period.")
    ] = None,
    years: Annotated[Amount, Field(description="How long.")] = None,
    periods_per_year: Annotated[int, Field(description="Payments or compoundings.")] = 12,
    contribution: Annotated[Number, Field(description="Added at each period's end.")] = 0,
    cashflows: Annotated[
        list[Number] | None, Field(description="For npv, irr; the first is now.", max_length=1000)
    ] = None,
) -> FinanceResult:
    """Calculate with money.

    loan: payment (amount, rate_percent, years). compound: growth (same, contribution). npv, irr:
    cashflows. percent_change: amount to end_amount. cagr: those and years. margin: cost to price.
    """
    arguments = {
        "operation": op, "amount": amount, "end_amount": end_amount, "rate_percent": rate_percent,
        "years": years, "periods_per_year": periods_per_year, "contribution": contribution,
        "cashflows": cashflows or [],
    }  # fmt: skip
    return FinanceResult(**await mcp.lifespan_value.calculate("finance", arguments))
