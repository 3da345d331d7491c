"""Arithmetic: "what is 17% of 2,340", "12 * (3+4)", "square root of 2"."""

import re
from datetime import date

from orchestrator.practice.intents.formula import read_formula
from orchestrator.practice.intents.wish import Wish

_QUESTION = re.compile(
    r"\b(?:what(?:'|’)?s|what\s+(?:is|are|about)|how\s+much\s+(?:is|are|does)|calculate|compute"
    r"|evaluate|work\s+out|solve)(?:\s+the)?\s+",
    re.IGNORECASE,
)
_CONTINUATION = re.compile(r"(?:,|;|\band\b|\bthen\b)\s*(?:and\s+)?", re.IGNORECASE)
_LINE_START = re.compile(r"^[ \t]*(?:the\s+)?", re.MULTILINE | re.IGNORECASE)
_CLAUSE_END = re.compile(
    r"\s*(?:=|equals?\b)?\s*(?:$|[?.,;!\n]|and\b|then\b|plus\s+what|please\b|exactly\b)",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"\s*=?\s*(?:please)?[?.!]*\s*$", re.MULTILINE | re.IGNORECASE)
_DATE_LIKE = re.compile(r"\d{4} - \d{1,2} - \d{1,2}|\d{1,2} / \d{1,2} / \d{2,4}")


def find(text: str, today: date) -> list[Wish]:
    """Return every formula that is asked for, or that is a line of its own."""
    del today
    wishes = _formulas(text, _QUESTION, _CLAUSE_END)
    wishes += _formulas(_without(text, wishes), _LINE_START, _LINE_END)
    if wishes:
        wishes += _formulas(_without(text, wishes), _CONTINUATION, _CLAUSE_END)
    return wishes


def _formulas(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> list[Wish]:
    wishes: list[Wish] = []
    for match in opening.finditer(text):
        found = read_formula(text, match.end())
        if found is None or _DATE_LIKE.fullmatch(found.expression):
            continue
        if closing.match(text, found.end):
            label = text[match.end() : found.end].strip()
            values = {"expression": found.expression}
            wishes.append(Wish(match.start(), found.end, "calculator__evaluate", label, values))
    return wishes


def _without(text: str, wishes: list[Wish]) -> str:
    for wish in wishes:
        text = text[: wish.start] + "\0" * (wish.end - wish.start) + text[wish.end :]
    return text
