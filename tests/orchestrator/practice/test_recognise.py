"""Which words ask for which tool, and which words ask for none."""

from datetime import date
from typing import Any

import pytest

from orchestrator.practice.intents.recognise import recognise
from orchestrator.practice.intents.wish import OneOf

TODAY = date(2026, 11, 20)


def found(message: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the short tool name and the values of each wish."""
    return [
        (
            wish.tool.partition("__")[2],
            {k: v.spellings[0] if isinstance(v, OneOf) else v for k, v in wish.values.items()},
        )
        for wish in recognise(message, TODAY)
    ]


@pytest.mark.parametrize(
    ("message", "expression"),
    [
        ("what is 17% of 2,340", "17 / 100 * 2340"),
        ("What's 17 percent of $2,340?", "17 / 100 * 2340"),
        ("12 * (3+4)", "12 * (3 + 4)"),
        ("  12*(3+4) = ?", "12 * (3 + 4)"),
        ("square root of 2", "sqrt(2)"),
        ("What is the square root of 144?", "sqrt(144)"),
        ("what is sqrt(2) + 1", "sqrt(2) + 1"),
        ("cube root of 27", "(27) ** (1 / 3)"),
        ("what is 2 to the power of 10", "2 ** 10"),
        ("calculate 2^10 please", "2 ** 10"),
        ("compute 5!", "factorial(5)"),
        ("7 squared", "(7) ** 2"),
        ("what is two plus two?", "2 + 2"),
        ("what is 20% off 50", "50 * (1 - 20 / 100)"),
        ("how much is 3 x 4 please", "3 * 4"),
        ("10 divided by 4", "10 / 4"),
        ("what's -3 + 5.5?", "-3 + 5.5"),
        ("Hello! What is 6 times 7?", "6 * 7"),
        ("2 pi", None),
        ("what is 2 * pi", "2 * pi"),
        ("what is 10 mod 3", "10 % 3"),
    ],
)
def test_arithmetic_becomes_a_formula(message: str, expression: str | None) -> None:
    wanted = [] if expression is None else [("evaluate", {"expression": expression})]

    assert found(message) == wanted


@pytest.mark.parametrize(
    ("message", "value", "source", "target"),
    [
        ("5 miles in km", 5, "mile", "kilometer"),
        ("convert 100 F to C", 100, "fahrenheit", "celsius"),
        ("convert 72.5 degrees Fahrenheit to Celsius", 72.5, "fahrenheit", "celsius"),
        ("What is 20 °C in fahrenheit?", 20, "celsius", "fahrenheit"),
        ("how many feet are in a mile?", 1, "mile", "foot"),
        ("how many seconds in 2 weeks", 2, "week", "second"),
        ("what is 60 mph in km/h?", 60, "mile / hour", "kilometer / hour"),
        ("1,500 kg to lbs", 1500, "kilogram", "pound"),
    ],
)
def test_units_become_a_conversion(message: str, value: float, source: str, target: str) -> None:
    values = {"value": value, "from_unit": source, "to_unit": target}

    assert found(message) == [("convert_units", values)]


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("how many days until 2026-12-25", ("diff", "2026-11-20", "2026-12-25")),
        ("How many days are there until Christmas?", ("diff", "2026-11-20", "2026-12-25")),
        ("days until May 1", ("diff", "2026-11-20", "2027-05-01")),
        ("how long is it until new year", ("diff", "2026-11-20", "2027-01-01")),
        ("how many days since Christmas?", ("diff", "2025-12-25", "2026-11-20")),
        ("how long since 2020-01-01?", ("diff", "2020-01-01", "2026-11-20")),
        ("days between 2026-01-01 and 2026-03-01", ("diff", "2026-01-01", "2026-03-01")),
        ("how many working days from 1 Dec 2026 to 31 Dec 2026?",
         ("workdays", "2026-12-01", "2026-12-31")),
        ("what weekday is 1 May 2027", ("weekday", "2027-05-01")),
        ("What day of the week was July 4, 1776?", ("weekday", "1776-07-04")),
        ("which day is tomorrow", ("weekday", "2026-11-21")),
        ("how old is someone born on 12 March 1984?", ("age", "1984-03-12", "2026-11-20")),
    ],
)  # fmt: skip
def test_questions_about_days_become_a_calculation(message: str, values: tuple[str, ...]) -> None:
    named = dict(zip(("operation", "day", "end"), values, strict=False))

    assert found(message) == [("date_calc", named)]


@pytest.mark.parametrize(
    ("message", "span"),
    [
        ("what date is 90 days from today?", {"days": 90}),
        ("what date is it in 3 weeks?", {"weeks": 3}),
        ("what is the date 2 months before today", {"months": -2}),
    ],
)
def test_a_shifted_day_becomes_an_addition(message: str, span: dict[str, int]) -> None:
    assert found(message) == [("date_calc", {"operation": "add", "day": "2026-11-20", **span})]


@pytest.mark.parametrize(
    ("message", "zones"),
    [
        ("what time is it in Lisbon", ["Europe/Lisbon"]),
        ("What time is it?", [None]),
        ("what's the time right now?", [None]),
        ("what is today's date?", [None]),
        ("what day is it today?", [None]),
        ("what's the time in New York and Tokyo?", ["America/New_York", "Asia/Tokyo"]),
        ("Time in Hong Kong please", ["Asia/Hong_Kong"]),
        ("what time is it in Europe/Vienna", ["Europe/Vienna"]),
        ("what time is it in Xanadu?", ["Xanadu"]),
    ],
)
def test_questions_about_now_name_the_zone(message: str, zones: list[str | None]) -> None:
    assert found(message) == [("now", {} if zone is None else {"zone": zone}) for zone in zones]


@pytest.mark.parametrize(
    ("message", "time", "source", "target"),
    [
        ("3pm in Tokyo in Berlin time", "15:00", "Asia/Tokyo", "Europe/Berlin"),
        ("what is 3:30 p.m. in Tokyo in Berlin?", "15:30", "Asia/Tokyo", "Europe/Berlin"),
        ("convert 15:00 Tokyo time to Berlin", "15:00", "Asia/Tokyo", "Europe/Berlin"),
        ("when it is 9am in New York, what time is it in London?",
         "09:00", "America/New_York", "Europe/London"),
        ("what time is it in London when it's noon in Delhi?",
         "12:00", "Asia/Kolkata", "Europe/London"),
    ],
)  # fmt: skip
def test_a_time_elsewhere_becomes_a_conversion(
    message: str, time: str, source: str, target: str
) -> None:
    values = {"time": time, "from_zone": source, "to_zone": target}

    assert found(message) == [("convert_time", values)]


@pytest.mark.parametrize(
    ("message", "query"),
    [
        ("search my chats for the invoice from Anna.", "the invoice from Anna"),
        ("Please search through our old chats about 3 * 4", "3 * 4"),
        ('find "dentist" in my old chats', "dentist"),
        ("what did we decide about the kitchen?", "the kitchen"),
    ],
)
def test_searching_old_chats_becomes_a_search(message: str, query: str) -> None:
    assert found(message) == [("search_history", {"query": query})]


@pytest.mark.parametrize(
    ("message", "tools"),
    [
        ("what is 17% of 2,340, and what time is it in Lisbon?", ["evaluate", "now"]),
        ("What time is it in Lisbon, Tokyo and New York, and what is 5*5?",
         ["now", "now", "now", "evaluate"]),
        ("what is 2+2 and 3*3?", ["evaluate", "evaluate"]),
        ("5 miles in km, and how many days until 2026-12-25?", ["convert_units", "date_calc"]),
        ("3pm in Tokyo in Berlin time\n12 * 3\n7 squared",
         ["convert_time", "evaluate", "evaluate"]),
    ],
)  # fmt: skip
def test_several_wishes_come_in_the_order_of_the_message(message: str, tools: list[str]) -> None:
    assert [tool for tool, _ in found(message)] == tools


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Hello",
        "what is love",
        "call me at 5",
        "I have 3 cats and 2 dogs",
        "my phone number is 555-1234",
        "24/7 support",
        "what is 24/7 support?",
        "what is 2026-11-20",
        "what is 10/12/2026",
        "Version 1.2.3 is out",
        "I ran 5 miles in 40 minutes",
        "what time is dinner?",
        "what is the time complexity of quicksort?",
        "time in prison is long",
        "how much is the fish",
        "meet me in 5 days",
        "what is a mile",
        "Tell me about the year 1984",
        "he was 6 feet in 1990",
        "remind me tomorrow",
        "what is 5",
        "I'll be there at 3pm in Tokyo",
        "at 3pm in room 5 in building B",
        "what day works for you",
        "what is 192.168.0.1",
        "what is 10:30 - 9:15",
        "how many people live in Lisbon",
        "what is the meaning of 42",
        "search for a better life",
        "how long is a piece of string",
        "convert me",
        "what is (((",
        "10% of the people think so",
    ],
)
def test_other_messages_ask_for_no_tool(message: str) -> None:
    assert found(message) == []


@pytest.mark.parametrize(
    "piece", ["\n", " ", "(", "what is ", "1,", "days ", "3pm in ", "what time is it in a ", "my "]
)
def test_hostile_repetition_stays_cheap(piece: str) -> None:
    """Bounded by the size of the message: pytest's time limit catches a regex that explodes."""
    recognise("search " + piece * 4000, TODAY)
