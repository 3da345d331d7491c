"""Times that a model writes: whole days, zones, offsets, and the nights clocks change."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from servers.google_calendar.times import (
    midnight,
    moved,
    point_in,
    read_point,
    rfc3339,
    vendor_time,
    zone_named,
)
from servers.kit.errors import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-20", "2026-11-20"),
        ("2026-11-20T15:30", "2026-11-20T15:30:00+01:00"),
        ("2026-11-20 15:30:10", "2026-11-20T15:30:10+01:00"),
        ("2026-11-20T15:30+01:00", "2026-11-20T15:30:00+01:00"),
        ("2026-11-20t15:30z", "2026-11-20T16:30:00+01:00"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+01:00"),
    ],
)
def test_a_time_is_read_on_the_clock_of_the_zone(text: str, meant: str) -> None:
    assert rfc3339(read_point(text, BERLIN, is_zone_given=False)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "15:30",
        "2026-W47-5",
        "20261120",
        "2026-02-30",
        "2026-11-20T25:00",
        "2026-11-20T15",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time"):
        read_point(text, BERLIN, is_zone_given=False)


def test_years_that_arithmetic_would_leave_are_refused() -> None:
    with pytest.raises(InvalidInput, match="outside the years"):
        read_point("9999-12-31T23:59+00:00", BERLIN, is_zone_given=False)


def test_an_offset_that_contradicts_the_zone_is_refused_with_what_would_do() -> None:
    with pytest.raises(InvalidInput, match=r"or write 2026-07-01T11:00:00\+02:00"):
        read_point("2026-07-01T09:00Z", BERLIN, is_zone_given=True)


def test_a_clock_time_that_is_skipped_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"does not exist.*2026-03-29T03:30:00\+02:00"):
        read_point("2026-03-29T02:30", BERLIN, is_zone_given=True)


def test_a_clock_time_that_comes_twice_is_refused_with_both() -> None:
    with pytest.raises(InvalidInput, match=r"02:30:00\+02:00.*02:30:00\+01:00"):
        read_point("2026-10-25T02:30", BERLIN, is_zone_given=True)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "europe"])
def test_only_iana_zones_are_zones(name: str) -> None:
    with pytest.raises(InvalidInput, match="not an IANA time zone"):
        zone_named(name)


def test_a_zone_that_is_misspelt_is_suggested() -> None:
    with pytest.raises(InvalidInput, match="Europe/Berlin"):
        zone_named("Europe/Berln")


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-10-25T02:30:00+01:00", "2026-07-01T09:00:00+02:00"]
)
def test_what_the_vendor_is_told_is_read_back_as_the_same(text: str) -> None:
    point = read_point(text, BERLIN, is_zone_given=False)

    assert point_in(vendor_time(point), ZoneInfo("UTC")) == point
    assert rfc3339(point_in(vendor_time(point), ZoneInfo("UTC"))) == text


def test_a_time_of_the_vendor_without_a_zone_is_in_that_of_the_calendar() -> None:
    floating = point_in({"dateTime": "2026-07-01T09:00:00"}, BERLIN)
    odd = point_in({"dateTime": "2026-07-01T09:00:00+02:00", "timeZone": "GMT+02:00"}, BERLIN)

    assert rfc3339(floating) == rfc3339(odd) == "2026-07-01T09:00:00+02:00"


def test_a_day_later_is_the_same_clock_time_across_a_change_of_clocks() -> None:
    before = datetime(2026, 3, 28, 9, 0, tzinfo=BERLIN)

    assert rfc3339(moved(before, timedelta(days=1))) == "2026-03-29T09:00:00+02:00"
    assert moved(date(2026, 3, 28), timedelta(days=1)) == date(2026, 3, 29)


def test_a_day_without_midnight_begins_after_it() -> None:
    assert rfc3339(midnight(date(2026, 9, 6), ZoneInfo("America/Santiago"))).startswith(
        "2026-09-06T01:00:00"
    )
