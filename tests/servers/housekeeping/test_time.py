"""Zones by the names people use, and times across them."""

import contextlib
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastmcp import Client
from hypothesis import given
from hypothesis import strategies as st

from servers.housekeeping.zones import convert, find_zone
from servers.kit.errors import InvalidInput, NotFound

LISBON, TOKYO = ZoneInfo("Europe/Lisbon"), ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Lisbon", "Europe/Lisbon"),
        (" lisbon ", "Europe/Lisbon"),
        ("Europe/Lisbon", "Europe/Lisbon"),
        ("europe/lisbon", "Europe/Lisbon"),
        ("Lisbon, Portugal", "Europe/Lisbon"),
        ("New York", "America/New_York"),
        ("new_york", "America/New_York"),
        ("NYC", "America/New_York"),
        ("São Paulo", "America/Sao_Paulo"),
        ("San Francisco", "America/Los_Angeles"),
        ("India", "Asia/Kolkata"),
        ("Buenos Aires", "America/Argentina/Buenos_Aires"),
        ("UTC", "UTC"),
    ],
)
def test_a_zone_is_found_by_city_country_or_iana_name(name: str, zone: str) -> None:
    assert find_zone(name).key == zone


def test_an_unknown_place_gets_suggestions() -> None:
    with pytest.raises(NotFound, match=r"'Tokio'. Did you mean Asia/Tokyo\?"):
        find_zone("Tokio")


def test_an_offset_is_never_answered_with_its_reverse() -> None:
    with pytest.raises(NotFound) as refusal:
        find_zone("GMT+2")

    assert "Etc/GMT" not in str(refusal.value)


@given(st.text(max_size=100))
def test_any_name_is_found_or_refused(name: str) -> None:
    with contextlib.suppress(NotFound):
        assert find_zone(name).key


@given(st.text(max_size=60) | st.from_regex(r"[0-9]{1,2}(:[0-9]{1,3})*( ?[ap]m)?", fullmatch=True))
def test_any_time_is_converted_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert convert(text, LISBON, TOKYO).time


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("15:30", "15:30:00"),
        ("7:05", "07:05:00"),
        ("07:05:09", "07:05:09"),
        ("3 pm", "15:00:00"),
        ("3:30 P.M.", "15:30:00"),
        ("12 am", "00:00:00"),
        ("12pm", "12:00:00"),
    ],
)
def test_a_time_without_a_date_is_todays(text: str, clock: str) -> None:
    result = convert(text, LISBON, TOKYO)

    today = datetime.now(LISBON).date()
    assert result.from_time.startswith(f"{today}T{clock}")
    assert result.note is None


@pytest.mark.parametrize("text", ["13pm", "25:00", "2026-02-30T10:00", "soon", ""])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape("write 15:30, 3:30 pm or 2026-03-29T15:30")):
        convert(text, LISBON, TOKYO)


def test_a_written_offset_wins_over_the_zone() -> None:
    assert convert("2026-07-01T12:00Z", LISBON, TOKYO).time == "2026-07-01T21:00:00+09:00"


def test_a_time_that_clocks_skip_is_moved_and_said() -> None:
    result = convert("2026-03-29T01:30", LISBON, TOKYO)

    assert (result.from_time, result.time) == (
        "2026-03-29T02:30:00+01:00",
        "2026-03-29T10:30:00+09:00",
    )
    assert result.note == (
        "01:30 on 2026-03-29 does not exist in Europe/Lisbon: clocks go forward. Read as 02:30."
    )


def test_a_time_that_comes_twice_is_the_first_and_the_second_is_said() -> None:
    result = convert("2026-10-25T01:30", LISBON, TOKYO)

    assert result.from_time == "2026-10-25T01:30:00+01:00"
    assert result.note is not None
    assert "the second is 2026-10-25T01:30:00+00:00" in result.note


async def test_now_without_a_zone_is_the_owners(client: Client[Any]) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    moment = (await client.call_tool("now", {})).structured_content or {}

    assert moment["zone"] == "Europe/Lisbon"
    assert before <= datetime.fromisoformat(moment["time"]) <= datetime.now(UTC)
    assert datetime.fromisoformat(moment["utc"]) == datetime.fromisoformat(moment["time"])
    assert moment["weekday"] == f"{datetime.fromisoformat(moment['time']):%A}"
