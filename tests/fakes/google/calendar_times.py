"""Times of events: moments, whole days, zones, and the occurrences of a series."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil import parser as dates
from dateutil import rrule

from tests.fakes.google.refusals import Refused

_MOST_OCCURRENCES = 2_600
_HORIZON = timedelta(days=4 * 366)
_LINE = re.compile(r"(RRULE|EXRULE|RDATE|EXDATE)((?:;[^:]*)?):(.+)")
_UNTIL = re.compile(r"UNTIL=(\d{8})(T\d{6})?(Z?)")


def zone_of(name: str, what: str = "") -> ZoneInfo:
    """Return a zone by its IANA name. Raises Refused."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        where = f" definition for {what} time" if what else ""
        raise Refused(400, f"Invalid time zone{where}.", "invalid") from None


@dataclass(frozen=True)
class Moment:
    """When an event starts or ends: what a clock there shows, and where. Days have no time."""

    local: datetime
    zone: ZoneInfo
    is_day: bool = False
    names_zone: bool = False

    @property
    def at(self) -> datetime:
        """The time in UTC. An hour that a change of clocks left out is the one after it."""
        return self.local.replace(tzinfo=self.zone).astimezone(UTC)

    def moved(self, local: datetime) -> "Moment":
        """Return the same kind of moment at another time of the clock there."""
        return Moment(local, self.zone, self.is_day, self.names_zone)

    def later(self, duration: timedelta) -> "Moment":
        """Return the moment after some time has really passed; after days for a day."""
        if self.is_day:
            return self.moved(self.local + duration)
        return self.moved((self.at + duration).astimezone(self.zone).replace(tzinfo=None))

    def shown(self, zone: ZoneInfo) -> dict[str, Any]:
        """Return it as the API writes it: in the zone of the answer, its own zone beside it."""
        if self.is_day:
            return {"date": self.local.date().isoformat()}
        text = self.at.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"dateTime": text, "timeZone": self.zone.key}

    def suffix(self) -> str:
        """Return what the id of an occurrence that starts here ends with."""
        return f"{self.local:%Y%m%d}" if self.is_day else f"{self.at:%Y%m%dT%H%M%SZ}"


def moment(given: dict[str, Any] | None, what: str, default: ZoneInfo) -> Moment:
    """Return a start or an end from what a client wrote. Raises Refused."""
    given = {name: value for name, value in (given or {}).items() if value is not None}
    if ("date" in given) == ("dateTime" in given):
        raise Refused(400, f"Missing {what} time." if not given else "Invalid value.", "required")
    zone = zone_of(given["timeZone"], what) if "timeZone" in given else default
    names_zone = "timeZone" in given
    if "date" in given:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", given["date"]):
            raise Refused(400, f"Invalid {what} time.", "invalid")
        return Moment(datetime.fromisoformat(given["date"]), default, is_day=True)
    try:
        time = dates.isoparse(given["dateTime"])
    except ValueError:
        raise Refused(400, f"Invalid {what} time.", "invalid") from None
    if time.tzinfo is None and not names_zone:
        raise Refused(400, f"Missing time zone definition for {what} time.", "required")
    if time.tzinfo is not None:
        time = time.astimezone(zone).replace(tzinfo=None)
    return Moment(time.replace(microsecond=0), zone, names_zone=names_zone)


def check_recurrence(lines: list[str], start: Moment) -> None:
    """Raise Refused unless Google would take these rules."""
    if lines and not start.is_day and not start.names_zone:
        raise Refused(400, "Missing time zone definition for start time.", "required")
    _rules(lines, start)


def occurrences(
    lines: list[str], start: Moment, earliest: datetime | None, latest: datetime | None
) -> Iterator[Moment]:
    """Give the starts of a series in order, from `earliest` to `latest`, both with a margin."""
    rules = _rules(lines, start)
    margin = timedelta(days=2)
    low = start.local if earliest is None else earliest.astimezone(start.zone).replace(tzinfo=None)
    high = low + _HORIZON if latest is None else latest.astimezone(start.zone).replace(tzinfo=None)
    for number, local in enumerate(rules.xafter(low - margin, inc=True)):
        if local > high + margin or number > _MOST_OCCURRENCES:
            return
        yield start.moved(local)


def _rules(lines: list[str], start: Moment) -> rrule.rruleset:
    rules = rrule.rruleset()
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise _bad_rule()
        try:
            _add(rules, match[1], match[2], match[3], start)
        except (ValueError, KeyError):
            raise _bad_rule() from None
    if lines and not any(line.startswith(("RRULE", "RDATE")) for line in lines):
        raise _bad_rule()
    return rules


def _bad_rule() -> Refused:
    return Refused(400, "Invalid recurrence rule.", "invalid")


def _add(rules: rrule.rruleset, kind: str, options: str, value: str, start: Moment) -> None:
    if kind in ("RRULE", "EXRULE"):
        text = _UNTIL.sub(lambda found: _until(found, start), value)
        rule = rrule.rrulestr(f"RRULE:{text}", dtstart=start.local)
        assert isinstance(rule, rrule.rrule)
        (rules.rrule if kind == "RRULE" else rules.exrule)(rule)
        return
    zone = re.search(r"TZID=([^;:]+)", options)
    for text in value.split(","):
        local = _local(text, ZoneInfo(zone[1]) if zone else start.zone, start)
        (rules.rdate if kind == "RDATE" else rules.exdate)(local)


def _until(found: re.Match[str], start: Moment) -> str:
    """Return an end in the time of the clock there, which is what the rules are reckoned in."""
    day, time, utc = found[1], found[2], found[3]
    if start.is_day or time is None:
        return f"UNTIL={day}T235959"
    if not utc:
        return f"UNTIL={day}{time}"
    return f"UNTIL={_local(day + time + utc, start.zone, start):%Y%m%dT%H%M%S}"


def _local(text: str, zone: ZoneInfo, start: Moment) -> datetime:
    time = dates.isoparse(text)
    if start.is_day:
        return datetime(time.year, time.month, time.day)  # noqa: DTZ001 - the time of a clock
    if time.tzinfo is None:
        time = time.replace(tzinfo=zone)
    return time.astimezone(start.zone).replace(tzinfo=None)
