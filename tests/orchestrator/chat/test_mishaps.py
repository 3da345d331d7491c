"""Turns whose session is deleted, that are stopped at once, or that a full disk keeps open."""

import asyncio

from sqlalchemy import Connection

from orchestrator.store import messages, sessions
from tests.fakes.openrouter import Gate
from tests.fakes.openrouter_rounds import text
from tests.orchestrator.chat.conftest import Chat
from tests.orchestrator.chat.stream import text_of


async def test_a_session_deleted_under_a_running_turn_harms_no_other(chat: Chat) -> None:
    gate = Gate()
    chat.fake.script(text("Lost ", gate, "answer."), text("Fine."))
    turn = await chat.send("Hello")
    await chat.until(turn.id, "text_delta")
    await chat.database.write(sessions.remove, chat.owner_id, turn.session_id)
    following = asyncio.create_task(chat.events(turn.id))
    gate.open()
    assert (await following)[-1].type == "turn_failed"
    other = await chat.send("And now?")
    assert text_of(await chat.events(other.id)) == "Fine."


async def test_a_turn_that_is_stopped_before_its_first_step_ends(chat: Chat) -> None:
    chat.fake.script(text("One."), text("Two."))
    first = await chat.send("First")
    await chat.events(first.id)
    done = False

    async def stop_all_the_time() -> None:
        while not done:
            async with asyncio.timeout(5):
                await chat.orchestrator.stop_session(chat.owner_id, first.session_id)
            await asyncio.sleep(0)

    stopping = asyncio.create_task(stop_all_the_time())
    second = await chat.send("Second", session_id=first.session_id)
    assert (await chat.events(second.id))[-1]["finish_reason"] == "cancelled"
    done = True
    await stopping


async def test_what_a_full_disk_kept_from_being_stored_is_stored_before_it_goes_on(
    chat: Chat,
) -> None:
    gate = Gate()
    half = "half of it " * 30_000
    chat.fake.script(text(half, gate, "and the rest."), text("the end."))
    turn = await chat.send("Long one.")
    await gate.reached.wait()
    await chat.database.write(_allow_pages, 1)
    gate.open()
    events = await chat.events(turn.id)
    assert (events[-1].type, events[-1]["code"]) == ("turn_failed", "storage")
    await chat.database.write(_allow_pages, 1_000_000)
    again = await chat.orchestrator.continue_turn(chat.owner_id, turn.id, None)
    assert text_of(await chat.events(again.id)) == "the end."
    branch = await chat.database.read(
        messages.branch, chat.owner_id, turn.session_id, await _leaf(chat, turn.session_id)
    )
    assert [message.content[:11] for message in branch] == ["Long one.", "half of it ", "the end."]


async def test_a_turn_whose_end_a_full_disk_refuses_shows_its_end_and_is_closed_when_it_can(
    chat: Chat,
) -> None:
    gate = Gate()
    chat.fake.script(text("half of it " * 30_000, gate, "and the rest."))
    turn = await chat.send("Long one.")
    await gate.reached.wait()
    await chat.database.write(_allow_pages, 1)
    gate.open()
    seen = await chat.events(turn.id)
    assert [e.data for e in await chat.events(turn.id)] == [e.data for e in seen]
    assert (await chat.orchestrator.cancel(chat.owner_id, turn.id)).state == "running"
    await chat.database.write(_allow_pages, 1_000_000)
    assert text_of(await chat.events(turn.id)).startswith("half of it ")
    assert (await chat.orchestrator.cancel(chat.owner_id, turn.id)).state == "failed"


async def _leaf(chat: Chat, session_id: str) -> str | None:
    return (await chat.database.read(sessions.get, chat.owner_id, session_id)).leaf_message_id


def _allow_pages(conn: Connection, count: int) -> None:
    conn.exec_driver_sql(f"PRAGMA max_page_count = {count}").close()
