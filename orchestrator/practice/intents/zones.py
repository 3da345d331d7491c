"""Times: "what time is it in Lisbon", "3pm in Tokyo in Berlin time"."""

import re
from datetime import date

from orchestrator.practice.intents.places import zone_of
from orchestrator.practice.intents.wish import Wish

_NOW = "housekeeping__now"
_CONVERT = "housekeeping__convert_time"
_PLACE = r"[^\W\d_][\w .'/-]{0,38}?"
_HOUR = r"\d{1,2}(?::\d{2})?\s*(?:am|pm|a\.m\.|p\.m\.)|\d{1,2}:\d{2}|noon|midnight"
_END = r"(?=\s*(?:$|[?,.;!\n]|and\b|then\b|please\b))"
_CONVERSIONS = (
    re.compile(
        rf"\b(?P<hour>{_HOUR})\s+(?:in\s+|at\s+)?(?P<source>{_PLACE}),?\s+"
        rf"(?:what\s+time\s+(?:is|will)\s+(?:it|that)(?:\s+be)?\s+in|is\s+what\s+time\s+in"
        rf"|in|to|into)\s+(?P<target>{_PLACE}){_END}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\bwhat\s+time\s+is\s+(?:it\s+in\s+)?(?P<target>{_PLACE})\s+(?:when|if)\s+"
        rf"(?:it(?:'|’)?s?\s+(?:is\s+)?)?(?P<hour>{_HOUR})\s+in\s+(?P<source>{_PLACE}){_END}",
        re.IGNORECASE,
    ),
)
_QUESTION = re.compile(
    r"\b(?:what(?:'|’)?s?\s+(?:is\s+)?(?:the\s+)?(?:current\s+|local\s+|exact\s+)?time"
    r"(?:\s+is\s+it|\s+it\s+is)?|current\s+time|tell\s+me\s+the\s+time|time\s+now)"
    r"(?:\s+(?:right\s+)?now)?",
    re.IGNORECASE,
)
_BARE = re.compile(r"^[ \t]*(?:the\s+)?time(?=\s+in\s)", re.IGNORECASE | re.MULTILINE)
_WHERE = re.compile(r"\s+(?:in|at|for)\s+(?P<places>[^\d\W][^?.;!\n]{0,120})", re.IGNORECASE)
_STOP = re.compile(r"\s*(?:right\s+now|now|please)?\s*(?:[?.,;!\n]|$|and\b|then\b)", re.IGNORECASE)
_TODAY = re.compile(
    r"\b(?:what(?:'|’)?s?\s+(?:is\s+)?(?:the\s+|today(?:'|’)?s\s+)(?:current\s+)?date"
    r"(?:\s+today)?|what\s+(?:day|date)\s+is\s+(?:it|today)(?:\s+today)?|what\s+is\s+today)"
    r"(?=\s*(?:$|[?.,;!\n]|and\b))",
    re.IGNORECASE,
)


def find(text: str, today: date) -> list[Wish]:
    """Return conversions of a time of day first: they hold words that also ask for now."""
    del today
    wishes: list[Wish] = []
    for pattern in _CONVERSIONS:
        for match in pattern.finditer(text):
            if wish := _conversion(match):
                wishes.append(wish)
                text = text[: wish.start] + "\n" * (wish.end - wish.start) + text[wish.end :]
    for pattern in (_QUESTION, _BARE):
        for match in pattern.finditer(text):
            wishes += _asked(text, match, needs_known_place=pattern is _BARE)
    wishes += [
        Wish(match.start(), match.end(), _NOW, "the date", {}) for match in _TODAY.finditer(text)
    ]
    return wishes


def _conversion(match: re.Match[str]) -> Wish | None:
    source, target = zone_of(match["source"]), zone_of(match["target"])
    if source is None or target is None:
        return None
    hour = _clock(match["hour"])
    if hour is None:
        return None
    values = {"time": hour, "from_zone": source, "to_zone": target}
    label = f"{match['hour']} in {match['source']}, in {match['target'].removesuffix(' time')}"
    return Wish(match.start(), match.end(), _CONVERT, label, values)


def _asked(text: str, match: re.Match[str], *, needs_known_place: bool) -> list[Wish]:
    where = _WHERE.match(text, match.end())
    if where is None:
        is_plain = _STOP.match(text, match.end()) and not needs_known_place
        return [Wish(match.start(), match.end(), _NOW, "the time", {})] if is_plain else []
    wishes: list[Wish] = []
    start, position = match.start(), where.start("places")
    for part in re.split(r"(,\s*(?:and\s+)?|\s+and\s+)", where["places"]):
        place = re.sub(r"\s+(?:right\s+now|now|please)\s*$", "", part).strip()
        zone = zone_of(place)
        is_first = not wishes
        if zone is None and (not is_first or needs_known_place):
            if part.strip(" ,") not in ("", "and"):
                break
        elif place:
            # A place nobody knows goes to the tool as it is: the tool's refusal is the answer.
            end = position + len(part)
            wishes.append(Wish(start, end, _NOW, f"the time in {place}", {"zone": zone or place}))
            start = end
        position += len(part)
    return wishes


def _clock(text: str) -> str | None:
    """Return `15:00` for `3 pm`; None for times that do not exist."""
    plain = text.lower().replace(".", "").replace(" ", "")
    if plain in ("noon", "midnight"):
        return "12:00" if plain == "noon" else "00:00"
    half = plain[-2:] if plain.endswith("m") else ""
    hour, _, minute = plain.removesuffix(half).partition(":")
    hours, minutes = int(hour), int(minute or 0)
    if half and not 1 <= hours <= 12:
        return None
    if half:
        hours = hours % 12 + (12 if half == "pm" else 0)
    return f"{hours:02}:{minutes:02}" if hours < 24 and minutes < 60 else None
