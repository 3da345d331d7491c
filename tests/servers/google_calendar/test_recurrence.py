"""Rules of recurring events: what they yield, and series that are ended, split and moved."""

from datetime import date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from servers.google_calendar.recurrence import Recurrence, checked, read_recurrence
from servers.google_calendar.times import Point, clock_of, rfc3339
from servers.kit.errors import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 23, 9, 0, tzinfo=BERLIN)


def happens(recurrence: Recurrence, count: int = 50) -> list[str]:
    return [rfc3339(point) for point in islice(recurrence.occurrences(), count)]


def test_a_series_keeps_its_clock_time_when_the_clocks_change() -> None:
    series = read_recurrence(["RRULE:FREQ=WEEKLY;COUNT=2"], MONDAY)

    assert happens(series) == ["2026-03-23T09:00:00+01:00", "2026-03-30T09:00:00+02:00"]


def test_an_occurrence_that_the_clocks_skip_comes_an_hour_later() -> None:
    night = datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN)
    series = read_recurrence(["FREQ=DAILY;COUNT=3"], night)

    assert happens(series) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:30:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_until_in_utc_lets_the_occurrence_of_that_moment_in() -> None:
    series = read_recurrence(["RRULE:FREQ=DAILY;UNTIL=20260325T080000Z"], MONDAY)

    assert happens(series)[-1] == "2026-03-25T09:00:00+01:00"
    assert series.lines() == ["RRULE:FREQ=DAILY;UNTIL=20260325T080000Z"]


def test_until_as_a_date_means_to_the_end_of_that_day_in_the_zone_of_the_event() -> None:
    late = datetime(2026, 3, 23, 23, 30, tzinfo=BERLIN)
    series = read_recurrence(["RRULE:FREQ=DAILY;UNTIL=20260325"], late)

    assert happens(series)[-1] == "2026-03-25T23:30:00+01:00"
    assert series.lines() == ["RRULE:FREQ=DAILY;UNTIL=20260325T225959Z"]


def test_a_series_of_whole_days_ends_with_a_date() -> None:
    series = read_recurrence(["RRULE:FREQ=DAILY;UNTIL=20260325T235959Z"], date(2026, 3, 23))

    assert happens(series) == ["2026-03-23", "2026-03-24", "2026-03-25"]
    assert series.lines() == ["RRULE:FREQ=DAILY;UNTIL=20260325"]


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE;TZID=Europe/Berlin:20260324T090000",
        "EXDATE:20260324T080000Z",
        "EXDATE;TZID=America/New_York:20260324T040000",
        "EXDATE;VALUE=DATE:20260324",
    ],
)
def test_a_removed_occurrence_is_found_in_whatever_zone_it_is_written(line: str) -> None:
    series = read_recurrence(["RRULE:FREQ=DAILY;COUNT=3", line], MONDAY)

    assert happens(series) == ["2026-03-23T09:00:00+01:00", "2026-03-25T09:00:00+01:00"]
    assert series.lines()[1] == "EXDATE;TZID=Europe/Berlin:20260324T090000"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["RRULE:FREQ=HOURLY"], "FREQ of a recurrence rule is one of"),
        (["RRULE:FREQ=DAILY;BYHOUR=1,2"], "cannot have 'BYHOUR'"),
        (["RRULE:FREQ=DAILY;COUNT=2;UNTIL=20270101T000000Z"], "not by both"),
        (["RRULE:FREQ=DAILY;COUNT=0"], "not a recurrence rule that can be read"),
        (["RRULE:FREQ=DAILY;INTERVAL=0"], "not a recurrence rule that can be read"),
        (["RRULE:FREQ=WEEKLY;BYDAY=XX"], "not a recurrence rule that can be read"),
        (["RRULE:FREQ=DAILY;COUNT=99999999999999999999999999"], "not a recurrence rule that"),
        (["RRULE:FREQ"], "not a recurrence rule"),
        (["DTSTART:20260323T090000Z"], "not a line of RRULE"),
        (["every Monday"], "not a line of RRULE"),
        (["RRULE:FREQ=DAILY", "RDATE;VALUE=PERIOD:20260323T090000Z/PT1H"], "periods"),
        (["RRULE:FREQ=DAILY;UNTIL=tomorrow"], "is not a time"),
        (["RRULE:FREQ=DAILY", "EXDATE:20261399"], "is not a time"),
        (["RRULE:FREQ=DAILY", "EXDATE;TZID=Mars/Olympus:20260324T090000"], "not an IANA"),
        (["RRULE:FREQ=DAILY"] * 21, "more than 20 lines"),
    ],
)
def test_what_is_no_rule_of_a_calendar_is_refused(lines: list[str], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_recurrence(lines, MONDAY)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["RRULE:FREQ=DAILY;UNTIL=20260301T000000Z"], "never happens"),
        (["RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"], "never happens"),
        (["RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31"], "never happens"),
        (["RRULE:FREQ=DAILY;COUNT=1", "EXDATE:20260323T080000Z"], "never happens"),
        (["EXDATE:20260323T080000Z"], "needs a line"),
        (["RRULE:FREQ=WEEKLY;BYDAY=TU"], r"first occurrence would be 2026-03-24T09:00:00\+01:00"),
    ],
)
def test_a_series_that_cannot_happen_as_written_is_refused(lines: list[str], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        checked(read_recurrence(lines, MONDAY))


def test_29_february_happens() -> None:
    leap = read_recurrence(["RRULE:FREQ=YEARLY"], date(2096, 2, 29))

    assert happens(checked(leap))[:2] == ["2096-02-29", "2104-02-29"]


def test_a_split_keeps_the_count_and_gives_each_half_its_own_exceptions() -> None:
    lines = [
        "RRULE:FREQ=DAILY;COUNT=6",
        "EXDATE;TZID=Europe/Berlin:20260324T090000,20260327T090000",
        "RDATE;TZID=Europe/Berlin:20260322T090000,20260401T120000",
    ]
    series = read_recurrence(lines, MONDAY)
    split = datetime(2026, 3, 26, 9, 0, tzinfo=BERLIN)

    assert series.before(split).lines() == [
        "RRULE:FREQ=DAILY;UNTIL=20260326T075959Z",
        "RDATE;TZID=Europe/Berlin:20260322T090000",
        "EXDATE;TZID=Europe/Berlin:20260324T090000",
    ]
    assert series.since(split).lines() == [
        "RRULE:FREQ=DAILY;COUNT=3",
        "RDATE;TZID=Europe/Berlin:20260401T120000",
        "EXDATE;TZID=Europe/Berlin:20260327T090000",
    ]


def test_a_series_cannot_go_on_from_an_occurrence_that_was_added_singly() -> None:
    series = read_recurrence(["RRULE:FREQ=WEEKLY", "RDATE:20260325T080000Z"], MONDAY)

    with pytest.raises(InvalidInput, match="does not follow from the rule"):
        series.since(datetime(2026, 3, 25, 9, 0, tzinfo=BERLIN))


def test_a_series_that_moves_takes_its_end_its_days_and_its_exceptions_along() -> None:
    lines = [
        "RRULE:FREQ=WEEKLY;BYDAY=MO,TH;UNTIL=20260406T070000Z",
        "EXDATE;TZID=Europe/Berlin:20260326T090000",
    ]
    series = read_recurrence(lines, MONDAY)

    later = series.moved_to(datetime(2026, 3, 24, 15, 0, tzinfo=BERLIN))

    assert later.lines() == [
        "RRULE:FREQ=WEEKLY;BYDAY=TU,FR;UNTIL=20260407T130000Z",
        "EXDATE;TZID=Europe/Berlin:20260327T150000",
    ]
    assert len(happens(later)) == len(happens(series)) == 4


RULES = st.builds(
    lambda freq, interval, by, end: f"RRULE:FREQ={freq};INTERVAL={interval}{by}{end}",
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]),
    st.integers(1, 4),
    st.sampled_from(["", ";BYDAY=MO,WE,SU", ";BYDAY=TU,FR;WKST=SU"]),
    st.sampled_from(["", ";COUNT=1", ";COUNT=7", ";COUNT=60", ";UNTIL=20270301T000000Z"]),
)
STARTS: st.SearchStrategy[Point] = st.one_of(
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    # From 4 o'clock on: at night the clocks themselves decide what an occurrence is.
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(  # noqa: DTZ001, clock times
        lambda at: at.replace(hour=max(at.hour, 4), second=0, microsecond=0, tzinfo=BERLIN)
    ),
)


@settings(max_examples=150, deadline=None)
@given(rule=RULES, start=STARTS, at=st.integers(0, 25), gone=st.integers(0, 25))
def test_both_halves_of_a_series_are_the_whole(rule: str, start: Point, at: int, gone: int) -> None:
    whole = read_recurrence([rule], start)
    until = clock_of(start) + timedelta(days=400)
    points = list(whole.occurrences(until))
    assume(points)
    split = points[at % len(points)]
    assume(whole.follows_from_rule(start))
    whole = whole.without([points[gone % len(points)]])

    old = read_recurrence(whole.before(split).lines(), start)
    new = read_recurrence(whole.since(split).lines(), split)

    assert [*old.occurrences(until), *new.occurrences(until)] == list(whole.occurrences(until))


@settings(max_examples=100, deadline=None)
@given(rule=RULES, start=STARTS)
def test_lines_that_are_read_again_mean_the_same(rule: str, start: Point) -> None:
    series = read_recurrence([rule], start)

    assert list(islice(read_recurrence(series.lines(), start).occurrences(), 60)) == list(
        islice(series.occurrences(), 60)
    )
