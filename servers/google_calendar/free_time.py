"""When there is time: what is left of working hours when the busy times are taken out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from servers.google_calendar.times import settled
from servers.kit.errors import InvalidInput

_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*[-–]\s*([0-9]{1,2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` up to, not including, `end`; both in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """On which weekdays (0 is Monday), and from when to when on the clock of a zone."""

    zone: ZoneInfo
    begin: time
    end: time | None
    """None: midnight, the end of the day."""
    weekdays: frozenset[int]

    def within(self, window: Interval) -> Iterator[Interval]:
        """The working hours in a window, earliest first."""
        day = window.start.astimezone(self.zone).date()
        last = window.end.astimezone(self.zone).date()
        while day <= last:
            if day.weekday() in self.weekdays:
                begin = datetime.combine(day, self.begin, self.zone)
                ends_on = day if self.end else day + timedelta(days=1)
                end = datetime.combine(ends_on, self.end or time(), self.zone)
                start = max(settled(begin).astimezone(UTC), window.start)
                until = min(settled(end).astimezone(UTC), window.end)
                if start < until:
                    yield Interval(start, until)
            day += timedelta(days=1)


def read_hours(text: str) -> tuple[time, time | None]:
    """From when to when: `09:00-17:30`; `24:00` is the end of the day. Raises InvalidInput."""
    match = _HOURS.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError("another form")
        begin = time(int(match[1]), int(match[2]))
        end = None if match[3] + match[4] == "2400" else time(int(match[3]), int(match[4]))
    except ValueError as error:
        raise InvalidInput(f"working_hours is {text[:40]!r}: write 09:00-17:30.") from error
    if end is not None and end <= begin:
        raise InvalidInput(
            f"working_hours is {text[:40]!r}: its end is not after its begin. Of hours"
            " past midnight ask in two calls: 22:00-24:00 and 00:00-06:00."
        )
    return begin, end


def free_intervals(
    offered: Iterable[Interval], busy: Sequence[Interval], *, least: timedelta, buffer: timedelta
) -> Iterator[Interval]:
    """Stretches of `offered` of at least `least` that keep `buffer` from what is busy.

    `offered` comes in order and does not overlap; `busy` may be anything.
    """
    taken = sorted((one.start - buffer, one.end + buffer) for one in busy if one.start < one.end)
    for stretch in offered:
        begin = stretch.start
        for start, end in taken:
            if start >= stretch.end:
                break
            if start - begin >= least:
                yield Interval(begin, start)
            begin = max(begin, end)
        if stretch.end - begin >= least:
            yield Interval(begin, stretch.end)
