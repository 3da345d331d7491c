"""Decides about one tool call: it runs, the owner is asked, or it is refused.

The decision takes for granted that the model obeys every text it reads. It rests on what the tool
can do, on where text in the chat came from and on what the owner typed; never on the model's words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from orchestrator.approvals.destinations import (
    MAX_PLACES,
    UNREADABLE,
    OwnerTexts,
    destinations_in,
    texts_in,
)
from orchestrator.approvals.taint import Taint, clean_source
from orchestrator.domain.approvals import PolicyMode
from orchestrator.domain.tools import ToolDefinition

ASKS = 2
ASKS_EVERY_TIME = 3
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Allow:
    """It runs: because nothing needs an approval, or by a standing one."""

    scope: Literal["none", "standing"]


@dataclass(frozen=True, slots=True)
class Ask:
    """The owner is asked; `reason` is a sentence for him."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It does not run, whatever the owner would say; `reason` is a sentence for him."""

    reason: str


def decide(
    tool: ToolDefinition,
    arguments: dict[str, Any],
    *,
    taint: Taint,
    owner_texts: Sequence[str],
    is_standing: bool,
    mode: PolicyMode,
) -> Allow | Ask | Refuse:
    """What happens with this call.

    `owner_texts` are the messages the owner typed in this chat; `is_standing` says whether he
    allowed the tool beyond one call.
    """
    if taint.is_tainted and mode == "quarantine":
        return Refuse(f"No tool runs any more, because this chat read {_listed(taint.sources)}.")
    if tool.level >= ASKS_EVERY_TIME:
        return Ask("This tool asks every time." + _after_reading(taint))
    if taint.is_tainted and tool.reaches_out:
        doubt = _doubt(tool, arguments, _typed(tuple(owner_texts)))
        if doubt is not None:
            although = " although you allowed this tool" if is_standing else ""
            return Ask(f"Asked{although}, because this chat read {_listed(taint.sources)}{doubt}.")
    if tool.level >= ASKS:
        return Allow("standing") if is_standing else Ask("This tool asks." + _after_reading(taint))
    return Allow("none")


@lru_cache(16)
def _typed(owner_texts: tuple[str, ...]) -> OwnerTexts:
    """Searched once for all calls of a turn: a long chat takes half a second."""
    return OwnerTexts(owner_texts)


def _doubt(tool: ToolDefinition, arguments: dict[str, Any], owner: OwnerTexts) -> str | None:
    """What speaks against a call by itself, to end a sentence with; None when it is vouched for.

    Vouched for is a call that says where it goes, goes only where the owner typed it, and carries
    no other address: a link in a mail to a friend leads to whoever wrote the link.
    """
    named = [text for name in tool.destinations for text in texts_in(arguments.get(name))]
    if not any(map(str.strip, named)):
        return ""
    strange = set(owner.untyped(destinations_in(arguments)))
    if len(named) > MAX_PLACES:
        strange.add(UNREADABLE)
    if UNREADABLE not in strange:
        strange |= {text for text in named if text.strip() and not owner.hold(text)}
    if not strange:
        return None
    return f", and you did not type {_listed(sorted(strange))}"


def _after_reading(taint: Taint) -> str:
    return f" This chat read {_listed(taint.sources)}." if taint.is_tainted else ""


def _listed(texts: Sequence[str]) -> str:
    """Some of `texts` in words, with the number of the others."""
    shown = [clean_source(text) for text in texts[:_SHOWN]]
    if len(texts) > _SHOWN:
        shown.append(f"{len(texts) - _SHOWN} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
