"""Time zones by the names of places."""

from functools import cache
from zoneinfo import available_timezones

_PLACES = {
    "utc": "UTC",
    "gmt": "UTC",
    "london": "Europe/London",
    "uk": "Europe/London",
    "england": "Europe/London",
    "ireland": "Europe/Dublin",
    "portugal": "Europe/Lisbon",
    "lisbon": "Europe/Lisbon",
    "porto": "Europe/Lisbon",
    "spain": "Europe/Madrid",
    "barcelona": "Europe/Madrid",
    "france": "Europe/Paris",
    "paris": "Europe/Paris",
    "germany": "Europe/Berlin",
    "berlin": "Europe/Berlin",
    "munich": "Europe/Berlin",
    "hamburg": "Europe/Berlin",
    "frankfurt": "Europe/Berlin",
    "cet": "Europe/Berlin",
    "switzerland": "Europe/Zurich",
    "geneva": "Europe/Zurich",
    "austria": "Europe/Vienna",
    "italy": "Europe/Rome",
    "milan": "Europe/Rome",
    "netherlands": "Europe/Amsterdam",
    "poland": "Europe/Warsaw",
    "sweden": "Europe/Stockholm",
    "norway": "Europe/Oslo",
    "denmark": "Europe/Copenhagen",
    "finland": "Europe/Helsinki",
    "greece": "Europe/Athens",
    "ukraine": "Europe/Kyiv",
    "kiev": "Europe/Kyiv",
    "turkey": "Europe/Istanbul",
    "india": "Asia/Kolkata",
    "delhi": "Asia/Kolkata",
    "new delhi": "Asia/Kolkata",
    "mumbai": "Asia/Kolkata",
    "bangalore": "Asia/Kolkata",
    "china": "Asia/Shanghai",
    "beijing": "Asia/Shanghai",
    "shanghai": "Asia/Shanghai",
    "japan": "Asia/Tokyo",
    "tokyo": "Asia/Tokyo",
    "osaka": "Asia/Tokyo",
    "korea": "Asia/Seoul",
    "israel": "Asia/Jerusalem",
    "tel aviv": "Asia/Jerusalem",
    "abu dhabi": "Asia/Dubai",
    "hanoi": "Asia/Ho_Chi_Minh",
    "vietnam": "Asia/Ho_Chi_Minh",
    "new york": "America/New_York",
    "new york city": "America/New_York",
    "nyc": "America/New_York",
    "boston": "America/New_York",
    "washington": "America/New_York",
    "miami": "America/New_York",
    "eastern": "America/New_York",
    "est": "America/New_York",
    "chicago": "America/Chicago",
    "texas": "America/Chicago",
    "dallas": "America/Chicago",
    "houston": "America/Chicago",
    "denver": "America/Denver",
    "california": "America/Los_Angeles",
    "los angeles": "America/Los_Angeles",
    "la": "America/Los_Angeles",
    "san francisco": "America/Los_Angeles",
    "seattle": "America/Los_Angeles",
    "pacific": "America/Los_Angeles",
    "pst": "America/Los_Angeles",
    "montreal": "America/Toronto",
    "brazil": "America/Sao_Paulo",
    "rio": "America/Sao_Paulo",
    "rio de janeiro": "America/Sao_Paulo",
    "hawaii": "Pacific/Honolulu",
    "new zealand": "Pacific/Auckland",
    "canberra": "Australia/Sydney",
    "egypt": "Africa/Cairo",
    "south africa": "Africa/Johannesburg",
    "cape town": "Africa/Johannesburg",
    "kenya": "Africa/Nairobi",
    "nigeria": "Africa/Lagos",
}


def zone_of(place: str) -> str | None:
    """Return the IANA zone of a city, country or zone name; None when it is not known."""
    name = " ".join(place.lower().split()).strip(" .,'\"").removeprefix("the ")
    name = name.removesuffix(" time")
    return _PLACES.get(name) or _cities().get(name)


@cache
def _cities() -> dict[str, str]:
    """Zones of the machine by their full name and by their last part: `lima`, `hong kong`."""
    zones = sorted(zone for zone in available_timezones() if "/" in zone)
    cities = {zone.rpartition("/")[2].replace("_", " ").lower(): zone for zone in zones}
    return cities | {zone.lower(): zone for zone in zones}
