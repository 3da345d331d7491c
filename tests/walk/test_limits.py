"""A model that asks for 500 deletes: the limit is counted by the server, not by the chat."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gated_house import GatedHouse, LiveTurn, gated_house

TURNS, CALLS = 20, 25
TURN_LIMIT, DAY_LIMIT = 10, 100
STOP_LIMIT_S = 1.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[GatedHouse]:
    with gated_house(tmp_path) as house:
        yield house


def deletes(turn: int) -> list[tuple[str, dict[str, Any]]]:
    return [("delete_item", {"item_id": f"{turn}-{number}"}) for number in range(CALLS)]


@pytest.mark.timeout(120)
def test_five_hundred_deletes_stop_at_the_limits_whatever_the_chat_forgets(
    house: GatedHouse,
) -> None:
    first = house.say([("delete_item", {"item_id": "first"})])
    asked = first.wait_for("approval_requested")
    assert house.approve(asked["approval_id"], scope="always").status_code == 200
    started = first.finish().events[0][1]
    session_id, deleted = started["session_id"], 1
    for number in range(TURNS):
        # Every other turn begins under the first answer, so that the model sees nothing between.
        parent = started["assistant_message_id"] if number % 2 else None
        turn = house.say(deletes(number), session_id=session_id, parent_message_id=parent)
        allowed = min(TURN_LIMIT, DAY_LIMIT - deleted)
        asked = turn.wait_for("approval_requested")
        assert "limit" in asked["reason"]
        assert len(house.effects.effects()) == deleted + allowed
        stop(house, turn)
        assert len(house.effects.effects()) == deleted + allowed
        deleted += allowed
        notice = turn.all_of("notice")[-1]["message"]
        assert notice == f"Stopped. {allowed} changes were made."
    assert deleted == DAY_LIMIT
    assert not house.pending()


def stop(house: GatedHouse, turn: LiveTurn) -> None:
    """Stop the turn from another client and see it end in time."""
    began_s = time.monotonic()
    turn_id = turn.events[0][1]["turn_id"]
    assert house.ask("POST", f"/api/chat/turns/{turn_id}/cancel").status_code == 200
    turn.finish()
    assert time.monotonic() - began_s < STOP_LIMIT_S
    assert turn.events[-1][1]["finish_reason"] == "cancelled"
