"""Time zones by IANA name, city or country, and clock times in them."""

import re
import unicodedata
from datetime import UTC, datetime, time
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from servers.housekeeping.models import ConvertedTime, Moment
from servers.kit.errors import InvalidInput, NotFound

# Places people name that are not the eponym of a zone (IANA tz database 2026).
_PLACES = {
    "Africa/Cairo": "egypt",
    "Africa/Johannesburg": "cape town,durban,pretoria,south africa",
    "Africa/Lagos": "abuja,nigeria",
    "Africa/Nairobi": "kenya",
    "America/Chicago": "austin,central time,cst,cdt,dallas,houston,minneapolis,new orleans,texas",
    "America/Denver": "mountain time,mst,mdt,salt lake city",
    "America/Los_Angeles": "california,la,las vegas,pacific time,pdt,portland,pst,sacramento,"
    "san diego,san francisco,san jose,seattle,sf,silicon valley",
    "America/New_York": "atlanta,baltimore,boston,charlotte,dc,eastern time,edt,est,miami,nyc,"
    "orlando,philadelphia,pittsburgh,washington,washington dc",
    "America/Sao_Paulo": "brasilia,brazil,rio,rio de janeiro",
    "America/Toronto": "montreal,ottawa,quebec",
    "America/Argentina/Buenos_Aires": "argentina",
    "America/Edmonton": "calgary",
    "Asia/Dubai": "abu dhabi,uae",
    "Asia/Ho_Chi_Minh": "hanoi,vietnam",
    "Asia/Jakarta": "indonesia",
    "Asia/Jerusalem": "israel,haifa",
    "Asia/Karachi": "islamabad,lahore,pakistan",
    "Asia/Kolkata": "bangalore,bengaluru,chennai,delhi,hyderabad,india,ist,mumbai,new delhi,pune",
    "Asia/Manila": "philippines",
    "Asia/Seoul": "korea,south korea,busan",
    "Asia/Shanghai": "beijing,china,guangzhou,shenzhen",
    "Asia/Tokyo": "japan,jst,kyoto,osaka,nagoya",
    "Asia/Bangkok": "thailand",
    "Asia/Taipei": "taiwan",
    "Australia/Sydney": "canberra",
    "Europe/Amsterdam": "netherlands,rotterdam,the hague",
    "Europe/Athens": "greece",
    "Europe/Berlin": "cologne,frankfurt,germany,hamburg,munich,stuttgart,dusseldorf",
    "Europe/Brussels": "belgium,antwerp",
    "Europe/Copenhagen": "denmark",
    "Europe/Dublin": "ireland,cork",
    "Europe/Helsinki": "finland",
    "Europe/Istanbul": "turkey,ankara",
    "Europe/Kyiv": "kiev,ukraine",
    "Europe/Lisbon": "porto,portugal",
    "Europe/London": "birmingham,bst,edinburgh,england,glasgow,manchester,scotland,uk,wales",
    "Europe/Madrid": "barcelona,seville,spain,valencia",
    "Europe/Oslo": "norway",
    "Europe/Paris": "france,lyon,marseille,nice,toulouse",
    "Europe/Prague": "czechia",
    "Europe/Rome": "florence,italy,milan,naples,turin,venice",
    "Europe/Stockholm": "sweden,gothenburg",
    "Europe/Vienna": "austria",
    "Europe/Warsaw": "krakow,poland",
    "Europe/Zurich": "basel,bern,geneva,switzerland",
    "Pacific/Auckland": "new zealand,wellington",
    "Pacific/Honolulu": "hawaii",
    "UTC": "z,zulu",
}
_CLOCK = re.compile(r"[0-9]{1,2}(?::[0-9]{2}){1,2}")
_TWELVE_HOURS = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?(?::([0-9]{2}))?\s*([ap])\.?m\.?")


def find_zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name, a city or a country, whatever its capitals.

    Raises:
        NotFound: no such place is known; the message names similar ones.
    """
    known = _zones_by_place()
    key = _plain(name)
    # "Lisbon, Portugal" and "Springfield, IL" are looked up by what comes first.
    for candidate in (key, key.split(",")[0].strip()):
        if candidate in known:
            return ZoneInfo(known[candidate])
    close = get_close_matches(key, known, n=4, cutoff=0.7)
    # `Etc/GMT+2` is two hours behind UTC: nobody who writes GMT+2 means that.
    similar = dict.fromkeys(known[place] for place in close if "gmt" not in place)
    meant = ", ".join(similar)
    raise NotFound(
        f"No time zone is known for {name[:60]!r}."
        + (f" Did you mean {meant}?" if meant else "")
        + " Use an IANA name such as Europe/Lisbon, or a larger city in the same zone."
    )


def moment(zone: ZoneInfo) -> Moment:
    """Return the present moment there."""
    now = datetime.now(zone)
    year, week, _ = now.isocalendar()
    return Moment(
        time=now.isoformat(timespec="seconds"),
        zone=zone.key,
        utc=rfc3339_utc(now),
        weekday=f"{now:%A}",
        iso_week=f"{year:04d}-W{week:02d}",
        is_daylight_saving=bool(now.dst()),
    )


def convert(text: str, source: ZoneInfo, target: ZoneInfo) -> ConvertedTime:
    """Return a time of one zone in another; the first of two equal clock times is taken.

    Raises:
        InvalidInput: the text is no time.
    """
    given = read_time(text, source)
    note = None
    if given.tzinfo is source:
        given, note = _settled(given, source)
    try:
        there = given.astimezone(target)
    except OverflowError as error:
        raise InvalidInput(f"{text!r} is outside the years 1 to 9999.") from error
    return ConvertedTime(
        time=there.isoformat(timespec="seconds"),
        zone=target.key,
        weekday=f"{there:%A}",
        from_time=given.isoformat(timespec="seconds"),
        from_zone=source.key,
        note=note,
    )


def read_time(text: str, zone: ZoneInfo) -> datetime:
    """Return `now`, `15:30`, `3 pm` (today) or an ISO 8601 date and time; a written offset wins.

    Raises:
        InvalidInput: it is none of these.
    """
    plain = text.strip().lower()
    if plain == "now":
        return datetime.now(zone)
    try:
        if match := _TWELVE_HOURS.fullmatch(plain):
            return _on_today(_twelve_hours(match), zone)
        if _CLOCK.fullmatch(plain):
            return _on_today(time.fromisoformat(plain.rjust(len(plain) // 3 * 3 + 2, "0")), zone)
        moment = datetime.fromisoformat(plain.upper())
    except ValueError as error:
        raise InvalidInput(
            f"{text[:60]!r} is not a time: write 15:30, 3:30 pm or 2026-03-29T15:30."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def rfc3339_utc(moment: datetime) -> str:
    """Return e.g. `2026-11-20T10:30:00Z`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _settled(given: datetime, zone: ZoneInfo) -> tuple[datetime, str | None]:
    """Resolve a clock time that clocks skip or show twice (PEP 495), and say so."""
    later = given.replace(fold=1)
    if given.utcoffset() == later.utcoffset():
        return given, None
    clock = f"{given:%H:%M} on {given:%Y-%m-%d}"
    real = given.astimezone(UTC).astimezone(zone)
    if real.replace(tzinfo=None) != given.replace(tzinfo=None):
        return real, (
            f"{clock} does not exist in {zone.key}: clocks go forward. Read as {real:%H:%M}."
        )
    return given, (
        f"{clock} happens twice in {zone.key}: clocks go back. This is the first; the second is "
        f"{later.isoformat(timespec='seconds')}."
    )


def _on_today(clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(datetime.now(zone).date(), clock, tzinfo=zone)


def _twelve_hours(match: re.Match[str]) -> time:
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    if not 1 <= hour <= 12:
        raise ValueError("hour out of range")
    return time(hour % 12 + (12 if match[4] == "p" else 0), minute, second)


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return " ".join(letters.lower().replace("_", " ").split())


@cache
def _zones_by_place() -> dict[str, str]:
    """Return zones by plain name: the whole IANA name, its city, then the places above."""
    zones = sorted(available_timezones())
    found: dict[str, str] = {}
    for zone in zones:
        if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/", "SystemV/")):
            found.setdefault(_plain(zone.rsplit("/", maxsplit=1)[1]), zone)
    found |= {_plain(zone): zone for zone in zones}
    for zone, places in _PLACES.items():
        if zone in zones:
            found |= dict.fromkeys(places.split(","), zone)
    return found
