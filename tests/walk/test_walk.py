"""A message walks from HTTP through the model to a tool and back, in real processes."""

import signal
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.walk.conftest import CALL_TIMEOUT_S, House

QUESTION = "what is 17% of 2,340, and what time is it in Lisbon?"


def test_first_light(house: House) -> None:
    answer = house.ask(QUESTION)
    assert answer.calls == {
        "calculator__evaluate": ("done", None),
        "housekeeping__now": ("done", None),
    }
    assert "397.8" in answer.text
    now = datetime.now(ZoneInfo("Europe/Lisbon"))
    assert f"{now:%Y}" in answer.text
    assert answer.events[-1][0] == "turn_finished"


def test_the_assistant_finds_its_own_old_chats(house: House) -> None:
    house.ask("what is 3 + 4 for the marzipan order?")
    answer = house.ask("search my chats for marzipan")
    assert answer.calls == {"housekeeping__search_history": ("done", None)}
    assert "marzipan" in answer.text


@pytest.mark.fault
def test_a_killed_server_delays_nobody_and_comes_back_by_itself(house: House) -> None:
    session_id = house.ask(QUESTION).session_id
    calculator = house.servers["calculator"]
    calculator.process.kill()
    calculator.process.wait()
    answer = house.ask(QUESTION, session_id)
    assert answer.calls["housekeeping__now"] == ("done", None)
    assert "397.8" not in answer.text
    assert answer.events[-1][0] == "turn_finished"
    house.restart("calculator")
    wait_until_ready(house, "calculator")
    assert "397.8" in house.ask(QUESTION, session_id).text


@pytest.mark.fault
def test_a_frozen_server_fails_its_own_call_at_its_limit_and_nothing_else(house: House) -> None:
    frozen = house.servers["calculator"].process
    frozen.send_signal(signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        answer = house.ask(QUESTION)
        assert time.monotonic() - began_s < CALL_TIMEOUT_S + 5
        status, error = answer.calls["calculator__evaluate"]
        assert status == "failed"
        assert error
        assert answer.calls["housekeeping__now"] == ("done", None)
    finally:
        frozen.send_signal(signal.SIGCONT)
    wait_until_ready(house, "calculator")
    assert "397.8" in house.ask(QUESTION).text


def wait_until_ready(house: House, server: str) -> None:
    for _ in range(600):
        if house.state(server) == "ready":
            return
        time.sleep(0.05)
    raise AssertionError(f"{server} stays {house.state(server)}")
