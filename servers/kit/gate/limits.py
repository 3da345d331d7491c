"""How much may happen without a question: per turn and per day, counted from the journal."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from servers.kit.manifest import Effect
from servers.kit.settings import KitSettings

DAY_S = 86_400

# A call that failed had no effect; one whose end is not known may have had it.
_IN_TURN = """SELECT COALESCE(SUM(effects), 0) FROM calls
    WHERE turn_id = ? AND effect = ? AND state <> 'failed'"""
_IN_DAY = """SELECT COALESCE(SUM(effects), 0) FROM calls
    WHERE effect = ? AND started_at > ? AND state <> 'failed'"""
_NOUNS = {Effect.SEND: "sends", Effect.DELETE: "deletes", Effect.SHARE: "shares"}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most effects of each kind; a kind that is missing has no limit."""

    turn: Mapping[Effect, int]
    day: Mapping[Effect, int]

    @classmethod
    def from_settings(cls, settings: KitSettings) -> Self:
        return cls(
            turn={
                Effect.SEND: settings.turn_max_sends,
                Effect.DELETE: settings.turn_max_deletes,
                Effect.SHARE: settings.turn_max_shares,
            },
            day={
                Effect.SEND: settings.day_max_sends,
                Effect.DELETE: settings.day_max_deletes,
                Effect.SHARE: settings.day_max_shares,
            },
        )


def limit_reached(
    conn: sqlite3.Connection,
    limits: Limits,
    *,
    effect: Effect | None,
    effects: int,
    turn_id: str | None,
    now_s: float,
) -> str | None:
    """A sentence for the owner when `effects` more would be over a limit, else None.

    A day is the last 24 hours, over all clients; a call without a turn has that limit only.
    """
    if effect is None:
        return None
    if turn_id is not None and (most := limits.turn.get(effect)) is not None:
        (used,) = conn.execute(_IN_TURN, (turn_id, effect)).fetchone()
        if used + effects > most:
            return _why("in this turn", effect, effects, used, most)
    if (most := limits.day.get(effect)) is not None:
        (used,) = conn.execute(_IN_DAY, (effect, now_s - DAY_S)).fetchone()
        if used + effects > most:
            return _why("within 24 hours", effect, effects, used, most)
    return None


def _why(span: str, effect: Effect, effects: int, used: int, most: int) -> str:
    return (
        f"The limit is {most} {_NOUNS[effect]} {span}: there were {used},"
        f" and this call would make {used + effects}."
    )
