"""Finds everything a message asks for."""

from datetime import date

from orchestrator.practice.intents import arithmetic, dates, history, units, zones
from orchestrator.practice.intents.wish import Wish

MAX_CHARS = 4_000
MAX_WISHES = 8


def recognise(message: str, today: date) -> list[Wish]:
    """Return the wishes in the order of the message; text that one claims is closed to the next.

    Arithmetic comes last: dates and times of day look like sums to it.
    """
    text = message[:MAX_CHARS]
    wishes: list[Wish] = []
    for find in (history.find, zones.find, dates.find, units.find, arithmetic.find):
        for wish in find(text, today):
            text = text[: wish.start] + "\n" * (wish.end - wish.start) + text[wish.end :]
            wishes.append(wish)
    return sorted(wishes, key=lambda wish: wish.start)[:MAX_WISHES]
