"""The calculator as an MCP client sees it, with real workers behind it."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastmcp import Client

from servers.calculator.server import mcp


@pytest.fixture
async def client() -> AsyncGenerator[Client[Any]]:
    async with Client(mcp) as client:
        yield client


async def found(client: Client[Any], tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None
    return {key: value for key, value in result.structured_content.items() if value is not None}


async def refusal(client: Client[Any], tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert result.is_error
    return str(result.content[0].text)


async def test_a_percentage_is_worked_out_exactly(client: Client[Any]) -> None:
    answer = await found(client, "evaluate", expression="17% of 2,340")

    assert answer == {"result": "397.8", "is_exact": True}


async def test_a_temperature_is_converted(client: Client[Any]) -> None:
    answer = await found(client, "convert_units", value=212, from_unit="F", to_unit="C")

    assert answer == {
        "result": "100",
        "from_unit": "degree_Fahrenheit",
        "to_unit": "degree_Celsius",
    }


async def test_a_json_number_means_the_decimal_that_was_written(client: Client[Any]) -> None:
    answer = await found(client, "convert_units", value=0.1, from_unit="mile", to_unit="km")

    assert answer["result"] == "0.1609344"


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (
            {"op": "diff", "date": "2024-02-29", "end": "2025-03-01"},
            {"result": "366 days", "days": 366, "years": 1, "months": 0, "remaining_days": 1},
        ),
        (
            {"op": "add", "date": "2024-01-31", "months": 1},
            {
                "result": "Thursday, 2024-02-29",
                "date": "2024-02-29",
                "weekday": "Thursday",
                "iso_week": "2024-W09",
            },
        ),
        (
            {
                "op": "workdays",
                "date": "2026-12-21",
                "end": "2027-01-01",
                "holidays": ["2026-12-25"],
            },
            {"result": "9 workdays", "days": 9},
        ),
        (
            {"op": "add_workdays", "date": "2026-11-20", "days": 1},
            {
                "result": "Monday, 2026-11-23",
                "date": "2026-11-23",
                "weekday": "Monday",
                "iso_week": "2026-W48",
            },
        ),
        (
            {"op": "age", "date": "1990-05-17", "end": "2026-11-20"},
            {"result": "36 years", "days": 13336, "years": 36, "months": 6, "remaining_days": 3},
        ),
    ],
)
async def test_dates_are_calculated(
    client: Client[Any], arguments: dict[str, Any], answer: dict[str, Any]
) -> None:
    assert await found(client, "date_calc", **arguments) == answer


async def test_ten_thousand_values_are_described(client: Client[Any]) -> None:
    values = [number / 10 for number in range(10_000)]

    answer = await found(client, "statistics", values=values, ops=["sum", "median", "p90"])

    assert answer == {"results": {"sum": "4999500", "median": "499.95", "p90": "899.91"}}


@pytest.mark.parametrize(
    ("arguments", "result", "details"),
    [
        (
            {"op": "loan", "amount": 200_000, "rate_percent": 5, "years": 30},
            "1073.64",
            {"total_paid": "386511.57", "total_interest": "186511.57"},
        ),
        (
            {
                "op": "compound",
                "amount": 1000,
                "rate_percent": 5,
                "years": 10,
                "periods_per_year": 1,
            },
            "1628.89",
            {"total_paid_in": "1000.00", "total_interest": "628.89"},
        ),
        ({"op": "npv", "rate_percent": 10, "cashflows": [-1000, 500, 500, 500]}, "243.43", {}),
        ({"op": "irr", "cashflows": [-1000, 500, 500, 500]}, "23.3751928528", {}),
        (
            {"op": "percent_change", "amount": 80, "end_amount": 100},
            "25",
            {"difference": "20"},
        ),
        ({"op": "cagr", "amount": 100, "end_amount": 121, "years": 2}, "10", {}),
        (
            {"op": "margin", "amount": 60, "end_amount": 100},
            "40",
            {"profit": "40.00", "markup_percent": "66.6666666666667"},
        ),
    ],
)
async def test_money_is_calculated(
    client: Client[Any], arguments: dict[str, Any], result: str, details: dict[str, str]
) -> None:
    answer = await found(client, "finance", **arguments)

    assert (answer["result"], answer["details"]) == (result, details)


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("evaluate", {"expression": "9**9**9"}, "60,000 digits"),
        ("evaluate", {"expression": "1", "precision": 1001}, "less than or equal to 1000"),
        ("evaluate", {"expression": "1" * 10**6}, "at most 1000 characters"),
        ("convert_units", {"value": 1, "from_unit": "usd", "to_unit": "eur"}, "currency"),
        ("date_calc", {"op": "weekday", "date": "2026-02-30"}, "YYYY-MM-DD"),
        ("date_calc", {"op": "add", "date": "2026-01-01", "years": 10**30}, "years 1 to 9999"),
        ("date_calc", {"op": "weekday", "date": "today", "zone": "Nowhere"}, "IANA"),
        ("statistics", {"values": [0] * 10_001}, "at most 10000"),
        ("statistics", {"values": [1], "ops": ["stdev"]}, "need 2 values"),
        ("statistics", {"values": [1e300]}, "below 1e50"),
        ("finance", {"op": "loan", "amount": 1}, "rate_percent is missing"),
        ("finance", {"op": "irr", "cashflows": [1, 2]}, "money out"),
    ],
)
async def test_a_refusal_tells_the_model_what_to_change(
    client: Client[Any], tool: str, arguments: dict[str, Any], says: str
) -> None:
    assert says in await refusal(client, tool, **arguments)
