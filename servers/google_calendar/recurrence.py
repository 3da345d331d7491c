"""Recurring events: when they happen, and how a series is ended, split and moved.

Occurrences repeat on the clock of the event's zone, as calendars show them; which dates follow
from a rule is for python-dateutil to say.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from servers.google_calendar.rules import (
    Parts,
    clocks_until,
    counted_down,
    on_other_days,
    read_dates,
    read_rule,
    until_text,
)
from servers.google_calendar.times import Point, at_clock, clock_of, rfc3339, zone_of
from servers.kit.errors import InvalidInput

MAX_LINES = 20
MAX_RULES = 2
MAX_LINE_CHARS = 2_000
# 29 February comes again after 8 years at most; what yields nothing in 12 never does.
_HORIZON = timedelta(days=12 * 366)

Clocks = tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How an event that starts at `start` repeats; all times are clock times in its zone."""

    start: Point
    rules: tuple[Parts, ...]
    untils: tuple[datetime | None, ...]
    """The last clock time of each rule."""
    added: Clocks = ()
    """RDATE."""
    removed: Clocks = ()
    """EXDATE."""

    def lines(self) -> list[str]:
        """As the vendor keeps them."""
        rules = [
            "RRULE:"
            + ";".join(f"{name}={value}" for name, value in parts)
            + (f";UNTIL={until_text(until, self.start)}" if until else "")
            for parts, until in zip(self.rules, self.untils, strict=True)
        ]
        return [*rules, *self._dates("RDATE", self.added), *self._dates("EXDATE", self.removed)]

    def occurrences(self, until: datetime | None = None) -> Iterator[Point]:
        """When it happens, first to last, up to a clock time or for 12 years."""
        last = until or clock_of(self.start) + _HORIZON
        rules = [
            clocks_until(parts, clock_of(self.start), min(ends or last, last))
            for parts, ends in zip(self.rules, self.untils, strict=True)
        ]
        clocks = heapq.merge(*rules, (clock for clock in self.added if clock <= last))
        removed = frozenset(self.removed)
        for clock, _ in itertools.groupby(clocks):
            if clock not in removed:
                yield at_clock(clock, self.start)

    def follows_from_rule(self, point: Point) -> bool:
        """Whether one of its rules yields this point, removed or not."""
        clock = clock_of(point)
        return any(
            clock in clocks_until(parts, clock_of(self.start), min(ends or clock, clock))
            for parts, ends in zip(self.rules, self.untils, strict=True)
        )

    def before(self, split: Point) -> "Recurrence":
        """What is left of it when it ends before `split`."""
        at = clock_of(split)
        last = at - (timedelta(seconds=1) if isinstance(split, datetime) else timedelta(days=1))
        ended = [self._ended(index, last) for index in range(len(self.rules))]
        return replace(
            self,
            rules=tuple(parts for parts, _ in ended),
            untils=tuple(until for _, until in ended),
            added=tuple(clock for clock in self.added if clock < at),
            removed=tuple(clock for clock in self.removed if clock < at),
        )

    def since(self, split: Point) -> "Recurrence":
        """What is left of it when it begins with its occurrence at `split`.

        Raises InvalidInput when no rule yields that one: there is nothing to go on from.
        """
        if not self.follows_from_rule(split):
            raise InvalidInput(
                f"The occurrence at {rfc3339(split)} does not follow from the rule of its series"
                " (it was added singly, or clocks moved it): change it with scope this, or the"
                " series from another occurrence on."
            )
        at = clock_of(split)
        left = [
            (counted_down(parts, self._count_until(parts, at - timedelta(seconds=1))), until)
            for parts, until in zip(self.rules, self.untils, strict=True)
            if until is None or until >= at
        ]
        return Recurrence(
            start=split,
            rules=tuple(parts for parts, _ in left if parts is not None),
            untils=tuple(until for parts, until in left if parts is not None),
            added=tuple(clock for clock in self.added if clock >= at),
            removed=tuple(clock for clock in self.removed if clock >= at),
        )

    def moved_to(self, start: Point) -> "Recurrence":
        """The same series when its first occurrence moves to `start`.

        UNTIL, EXDATE and RDATE move along, and the weekdays of weekly rules.
        """
        by = clock_of(start) - clock_of(self.start)
        days = (clock_of(start).date() - clock_of(self.start).date()).days
        return Recurrence(
            start=start,
            rules=tuple(on_other_days(parts, days) for parts in self.rules),
            untils=tuple(until and until + by for until in self.untils),
            added=tuple(clock + by for clock in self.added),
            removed=tuple(clock + by for clock in self.removed),
        )

    def without(self, points: Sequence[Point]) -> "Recurrence":
        """The same without these occurrences."""
        clocks = {*self.removed, *(clock_of(point) for point in points)}
        return replace(self, removed=tuple(sorted(clocks)))

    def _ended(self, index: int, last: datetime) -> tuple[Parts, datetime | None]:
        parts, until = self.rules[index], self.untils[index]
        count = int(dict(parts).get("COUNT", 0))
        if (until and until <= last) or (count and self._count_until(parts, last) >= count):
            return parts, until
        return tuple(part for part in parts if part[0] != "COUNT"), last

    def _count_until(self, parts: Parts, last: datetime) -> int:
        return sum(1 for _ in clocks_until(parts, clock_of(self.start), last))

    def _dates(self, name: str, clocks: Clocks) -> list[str]:
        if not clocks:
            return []
        if zone := zone_of(self.start):
            return [f"{name};TZID={zone}:" + ",".join(f"{c:%Y%m%dT%H%M%S}" for c in clocks)]
        return [f"{name};VALUE=DATE:" + ",".join(f"{c:%Y%m%d}" for c in clocks)]


def read_recurrence(lines: Sequence[str], start: Point) -> Recurrence:
    """The recurrence in RFC 5545 lines; `RRULE:` may be left out.

    Raises InvalidInput for what cannot be read, or means more than calendars do.
    """
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE_CHARS for line in lines):
        raise InvalidInput(
            f"recurrence has more than {MAX_LINES} lines, or one over {MAX_LINE_CHARS} characters."
        )
    rules: list[tuple[Parts, datetime | None]] = []
    dates: dict[str, set[datetime]] = {"RDATE": set(), "EXDATE": set()}
    for line in lines:
        head, _, rest = line.strip().partition(":")
        name, _, parameters = head.partition(";")
        if name.upper() in dates:
            dates[name.upper()] |= set(read_dates(parameters, rest, start))
        elif name.upper() == "RRULE" or name.upper().startswith("FREQ="):
            rules.append(read_rule(rest or line.strip(), start))
        else:
            raise InvalidInput(f"{line[:80]!r} is not a line of RRULE, RDATE or EXDATE.")
    if len(rules) > MAX_RULES:
        raise InvalidInput(f"recurrence has more than {MAX_RULES} rules: make several events.")
    return Recurrence(
        start=start,
        rules=tuple(parts for parts, _ in rules),
        untils=tuple(until for _, until in rules),
        added=tuple(sorted(dates["RDATE"])),
        removed=tuple(sorted(dates["EXDATE"])),
    )


def checked(recurrence: Recurrence) -> Recurrence:
    """The same, if it happens at all and its rule fits its start. Raises InvalidInput."""
    start = recurrence.start
    if not (recurrence.rules or recurrence.added):
        raise InvalidInput("recurrence needs a line such as RRULE:FREQ=WEEKLY;BYDAY=MO.")
    first = next(recurrence.occurrences(), None)
    if first is None:
        raise InvalidInput(
            "This recurrence never happens: its end (UNTIL, COUNT) lies before the start, its days"
            " do not exist, or EXDATE removes them all."
        )
    if recurrence.rules and not recurrence.follows_from_rule(start):
        raise InvalidInput(
            f"The event starts at {rfc3339(start)}, which its recurrence does not yield; the first"
            f" occurrence would be {rfc3339(first)}. Start there, or give a recurrence that fits."
        )
    return recurrence
