"""How much may happen without a question, whatever the model asks for."""

import sqlite3

import pytest

from servers.kit.gate import journal
from servers.kit.gate.journal import Begun, OverLimit
from servers.kit.gate.limits import DAY_S, Limits, limit_reached
from servers.kit.gate.liveness import this_process
from servers.kit.manifest import Effect
from servers.kit.settings import KitSettings
from tests.servers.kit.gate.calls import NOW_S, a_call, begin

ME = this_process()
FIVE_A_TURN = Limits(turn={Effect.DELETE: 5}, day={})
FIVE_A_DAY = Limits(turn={}, day={Effect.DELETE: 5})


def deletes(
    conn: sqlite3.Connection, limits: Limits, count: int, turn: str | None = "turn_1", **call: int
) -> list[journal.Beginning]:
    """What becomes of `count` more calls."""
    now_s = NOW_S + call.pop("after_s", 0)
    (known,) = conn.execute("SELECT COUNT(*) FROM calls").fetchone()
    calls = [
        a_call(f"call_{known + number}", turn_id=turn, effect=Effect.DELETE, **call)
        for number in range(count)
    ]
    return [begin(conn, each, ME, limits, now_s=now_s) for each in calls]


def test_a_turn_stops_at_its_limit(conn: sqlite3.Connection) -> None:
    outcomes = deletes(conn, FIVE_A_TURN, 500)

    assert outcomes[:5] == [Begun()] * 5
    assert (
        outcomes[5:]
        == [
            OverLimit(
                "The limit is 5 deletes in this turn: there were 5, and this call would make 6."
            )
        ]
        * 495
    )
    assert deletes(conn, FIVE_A_TURN, 1, turn="turn_2") == [Begun()]


def test_a_day_stops_at_its_limit_over_all_turns_and_clients(conn: sqlite3.Connection) -> None:
    for turn in ("turn_1", "turn_2", None, None, None):
        assert deletes(conn, FIVE_A_DAY, 1, turn) == [Begun()]

    (refused,) = deletes(conn, FIVE_A_DAY, 1, "turn_3")

    assert refused == OverLimit(
        "The limit is 5 deletes within 24 hours: there were 5, and this call would make 6."
    )


def test_a_day_rolls_on(conn: sqlite3.Connection) -> None:
    deletes(conn, FIVE_A_DAY, 3)
    deletes(conn, FIVE_A_DAY, 2, after_s=3_600)

    assert deletes(conn, FIVE_A_DAY, 1, after_s=DAY_S - 1) != [Begun()]
    assert deletes(conn, FIVE_A_DAY, 4, after_s=DAY_S)[2:] == [Begun(), deletes_over(5, 6)]


def deletes_over(used: int, would_be: int) -> OverLimit:
    return OverLimit(
        f"The limit is 5 deletes within 24 hours: there were {used},"
        f" and this call would make {would_be}."
    )


def test_a_call_counts_as_often_as_it_has_effects(conn: sqlite3.Connection) -> None:
    assert deletes(conn, FIVE_A_TURN, 1, effects=4) == [Begun()]
    assert deletes(conn, FIVE_A_TURN, 1, effects=2) != [Begun()]
    assert deletes(conn, FIVE_A_TURN, 1, effects=1) == [Begun()]
    assert deletes(conn, FIVE_A_TURN, 1, turn="turn_2", effects=6) != [Begun()]


@pytest.mark.parametrize(("state", "counts"), [("done", True), ("failed", False)])
def test_only_a_failed_call_does_not_count(
    conn: sqlite3.Connection, state: str, counts: bool
) -> None:
    deletes(conn, FIVE_A_TURN, 5)
    journal.finish(conn, "call_0", state, "{}", NOW_S)  # type: ignore[arg-type]

    assert (deletes(conn, FIVE_A_TURN, 1) != [Begun()]) == counts


def test_a_call_of_unknown_outcome_counts(conn: sqlite3.Connection) -> None:
    deletes(conn, FIVE_A_TURN, 5)
    journal.give_up(conn, ME, NOW_S)

    assert deletes(conn, FIVE_A_TURN, 1) != [Begun()]


def test_kinds_of_effect_are_counted_apart(conn: sqlite3.Connection) -> None:
    limits = Limits(turn={Effect.DELETE: 1, Effect.SEND: 1}, day={})
    deletes(conn, limits, 1)

    assert begin(conn, a_call("sent", effect=Effect.SEND), ME, limits) == Begun()


@pytest.mark.parametrize("effect", [None, Effect.CHANGE])
def test_changes_have_no_limit(conn: sqlite3.Connection, effect: Effect | None) -> None:
    none = Limits.from_settings(
        KitSettings(
            turn_max_sends=0,
            turn_max_deletes=0,
            turn_max_shares=0,
            day_max_sends=0,
            day_max_deletes=0,
            day_max_shares=0,
        )
    )

    for number in range(20):
        call = a_call(f"call_{number}", effect=effect)
        assert begin(conn, call, ME, none) == Begun()


def test_the_settings_say_how_much(conn: sqlite3.Connection) -> None:
    limits = Limits.from_settings(KitSettings(turn_max_sends=1, day_max_sends=2))
    why = {
        turn: limit_reached(
            conn, limits, effect=Effect.SEND, effects=effects, turn_id=turn, now_s=NOW_S
        )
        for turn, effects in (("turn_1", 1), ("turn_2", 2), (None, 2), (None, 3))
    }

    assert why["turn_1"] is None
    assert why["turn_2"] is not None
    assert "1 sends in this turn" in why["turn_2"]
    assert why[None] is not None
    assert "2 sends within 24 hours" in why[None]
