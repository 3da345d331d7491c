"""Free time: working hours less what is busy."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.google_calendar.free_time import Interval, WorkingHours, free_intervals, read_hours
from servers.kit.errors import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = frozenset(range(7))
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


def spans(*hours: tuple[float, float]) -> list[Interval]:
    return [Interval(at(start), at(end)) for start, end in hours]


def test_what_is_busy_and_its_buffer_is_taken_out() -> None:
    free = free_intervals(
        spans((9, 17)),
        spans((10, 11), (10.5, 12), (16.5, 20)),
        least=timedelta(hours=1),
        buffer=timedelta(minutes=15),
    )

    assert list(free) == spans((12.25, 16.25))


def test_working_hours_keep_their_clock_across_a_change_of_clocks() -> None:
    hours = WorkingHours(BERLIN, time(9), time(17), WEEK)
    window = Interval(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC))

    assert [one.start.isoformat() for one in hours.within(window)] == [
        "2026-03-28T08:00:00+00:00",
        "2026-03-29T07:00:00+00:00",
    ]


@pytest.mark.parametrize(("day", "hours"), [((3, 29), 23), ((10, 25), 25)])
def test_a_whole_day_has_as_many_hours_as_the_clocks_give_it(
    day: tuple[int, int], hours: int
) -> None:
    begin = datetime(2026, *day, tzinfo=BERLIN)
    window = Interval(begin.astimezone(UTC), (begin + timedelta(days=1)).astimezone(UTC))
    whole = WorkingHours(BERLIN, time(), None, WEEK)

    assert sum((one.end - one.start for one in whole.within(window)), timedelta()) == timedelta(
        hours=hours
    )


def test_days_off_are_left_out() -> None:
    hours = WorkingHours(BERLIN, time(9), time(17), frozenset({0, 1, 2, 3, 4}))
    days = [one.start.weekday() for one in hours.within(Interval(at(0), at(24 * 8)))]

    assert days == [0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize(
    ("text", "hours"),
    [("09:00-17:30", (time(9), time(17, 30))), ("8:00 - 24:00", (time(8), None))],
)
def test_working_hours_are_read(text: str, hours: tuple[time, time | None]) -> None:
    assert read_hours(text) == hours


@pytest.mark.parametrize("text", ["9-17", "17:00-09:00", "25:00-26:00", "09:00-09:00", "x"])
def test_working_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="working_hours"):
        read_hours(text)


QUARTERS = st.tuples(st.integers(0, 96 * 3), st.integers(0, 40)).map(
    lambda pair: Interval(at(pair[0] / 4), at((pair[0] + pair[1]) / 4))
)


@settings(max_examples=100, deadline=None)
@given(
    busy=st.lists(QUARTERS, max_size=12),
    minutes=st.sampled_from([15, 30, 60, 120]),
    buffer=st.sampled_from([0, 15, 30]),
)
def test_a_quarter_of_an_hour_is_free_or_busy_or_too_short_alone(
    busy: list[Interval], minutes: int, buffer: int
) -> None:
    offered = list(WorkingHours(BERLIN, time(9), time(17), WEEK).within(Interval(at(0), at(72))))
    margin = timedelta(minutes=buffer)
    free = list(free_intervals(offered, busy, least=timedelta(minutes=minutes), buffer=margin))

    for one in free:
        assert one.end - one.start >= timedelta(minutes=minutes)
        assert all(
            b.end + margin <= one.start or b.start - margin >= one.end
            for b in busy
            if b.start < b.end
        )
        assert any(o.start <= one.start and one.end <= o.end for o in offered)
    # Nothing as long as asked is missing: each place for it lies within a stretch found.
    for place in offered:
        start = place.start
        while start + timedelta(minutes=minutes) <= place.end:
            end = start + timedelta(minutes=minutes)
            clashes = any(
                b.start - margin < end and b.end + margin > start for b in busy if b.start < b.end
            )
            assert clashes != any(f.start <= start and end <= f.end for f in free)
            start += timedelta(minutes=15)
