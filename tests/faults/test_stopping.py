"""A Stop is over within a second, whatever the server does that is being called."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.openrouter import running_fake
from tests.fakes.openrouter_rounds import Call, calls
from tests.orchestrator.chat.conftest import running_chat

pytestmark = pytest.mark.fault

STOP_LIMIT_S = 1.0
LABEL = Call("effects__add_label", {"item_id": "a", "label": "x"})
SLOW = Call("effects__slow_send", {"to": "ann@example.org", "body": "Hi.", "seconds": 20})


@pytest.fixture
def effects(tmp_path: Path) -> Iterator[EffectsServer]:
    with running_effects(tmp_path) as server:
        yield server


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_stop_takes_less_than_a_second_and_counts_what_is_known(
    tmp_path: Path, effects: EffectsServer, *, is_frozen: bool
) -> None:
    with running_fake() as fake:
        fake.script(calls(LABEL, LABEL, SLOW))
        async with running_chat(tmp_path, fake, None, effects=effects) as chat:
            await chat.let_stand("effects__slow_send")
            turn = await chat.send("Label twice, then send.")
            await chat.until(turn.id, "tool_call_progress")
            if is_frozen:
                effects.freeze()
            began_s = time.monotonic()
            stopped = await chat.orchestrator.cancel(chat.owner_id, turn.id)
            took_s = time.monotonic() - began_s
            events = await chat.events(turn.id)
            effects.thaw()
    assert stopped.state == "cancelled"
    # The bench measures it; here it only must not wait for the tool, which takes many seconds.
    assert took_s < 3 * STOP_LIMIT_S
    notice = events[-2]["message"]
    assert notice == "Stopped. 2 changes were made; the outcome of 1 is unknown."
