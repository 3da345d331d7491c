"""Calls take the argument names and shapes of the schema they are given."""

from datetime import date
from typing import Any

import pytest

from orchestrator.practice.intents.recognise import recognise
from orchestrator.practice.toolbox import PlannedCall, Toolbox


def offer(name: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def plan(message: str, tool: dict[str, Any]) -> PlannedCall | None:
    return Toolbox([tool]).plan(recognise(message, date(2026, 11, 20))[0])


STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (
            offer("calculator__convert_units", value=NUMBER, from_unit=STRING, to_unit=STRING),
            {"value": 5, "from_unit": "mile", "to_unit": "kilometer"},
        ),
        (
            offer("calculator__convert_units", amount=STRING, **{"from": STRING, "to": STRING}),
            {"amount": "5", "from": "mile", "to": "kilometer"},
        ),
        (
            offer("calculator__convert_units", value={"anyOf": [STRING, {"type": "null"}]}),
            {"value": "5"},
        ),
        (offer("sums__convert_units", to=STRING), {"to": "kilometer"}),
        (offer("calculator__convert_units"), {}),
    ],
)
def test_arguments_follow_the_schema(tool: dict[str, Any], arguments: dict[str, Any]) -> None:
    call = plan("5 miles in km", tool)

    assert call == PlannedCall(tool["function"]["name"], arguments)


def test_words_of_an_enum_are_used_as_the_schema_spells_them() -> None:
    operations = {"anyOf": [{"enum": ["days_between", "age"], "type": "string"}]}
    tool = offer("calculator__date_calc", op=operations, date=STRING, end=STRING)

    call = plan("days between 2026-01-01 and 2026-03-01", tool)

    assert call.arguments == {"op": "days_between", "date": "2026-01-01", "end": "2026-03-01"}


def test_a_list_of_zones_gets_a_list() -> None:
    tool = offer("housekeeping__now", zones={"type": "array", "items": STRING})

    assert plan("what time is it in Lisbon", tool).arguments == {"zones": ["Europe/Lisbon"]}


def test_a_tool_that_is_not_offered_gives_no_call() -> None:
    assert plan("5 miles in km", offer("calculator__evaluate", expression=STRING)) is None
