"""Searching earlier chats: "search my chats for the invoice"."""

import re
from datetime import date

from orchestrator.practice.intents.wish import Wish

_CHATS = (
    r"(?:(?:my|our|the|all|old|past|previous|earlier|chat)\s+)*"
    r"(?:chats?|history|conversations?|sessions?|messages)"
)
_WORDINGS = (
    rf"\bsearch\s+(?:through\s+|in\s+)?{_CHATS}\s+(?:for|about)\s+(?P<words>[^\n]+)",
    rf"\b(?:find|search\s+for|look\s+for)\s+(?P<words>[^\n]+?)\s+in\s+{_CHATS}\b",
    r"\bwhat\s+did\s+\w+\s+(?:say|decide|discuss|write)(?:\s+about)?\s+(?P<words>[^\n?]+)",
)
_PATTERNS = tuple(re.compile(wording, re.IGNORECASE) for wording in _WORDINGS)


def find(text: str, today: date) -> list[Wish]:
    """Return at most one search."""
    del today
    for pattern in _PATTERNS:
        if match := pattern.search(text):
            words = match["words"].strip(" .?!\"'“”")
            values = {"query": words}
            return [Wish(match.start(), match.end(), "housekeeping__search_history", words, values)]
    return []
