"""Files that tools and models return: kept first, then told."""

import asyncio
import base64
import json
import signal
import sys
from pathlib import Path

import pytest

from orchestrator.domain.attachments import Attachment
from orchestrator.store import attachments
from tests.fakes.mcp_servers import ServerProcess
from tests.fakes.mcp_toy_server import ONE_PIXEL_PNG
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, Round, calls, text
from tests.orchestrator.chat.conftest import Chat, running_chat
from tests.orchestrator.chat.stream import Event, types

DATA_URL = f"data:image/png;base64,{base64.b64encode(ONE_PIXEL_PNG).decode()}"


def drawn(*urls: str) -> Round:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return Round(("Here: ", {"images": images}))


async def kept_in(chat: Chat, session_id: str) -> list[Attachment]:
    found, _ = await chat.database.read(
        attachments.page, chat.owner_id, limit=50, session_id=session_id
    )
    return found


async def bytes_of(chat: Chat, attachment_id: str) -> bytes:
    return b"".join([chunk async for chunk in chat.files.open(chat.owner_id, attachment_id)])


def last_result(chat: Chat, request: int = 1) -> str:
    return chat.fake.received[request].messages[-1]["content"]


def named(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.type == kind]


async def test_an_image_of_a_tool_is_shown_kept_and_there_after_a_reload(chat: Chat) -> None:
    chat.fake.script(calls(Call("toy__image", {})), text("A pixel."))
    turn = await chat.send("Draw.")
    events = await chat.events(turn.id)
    kinds = types(events)
    assert kinds.index("attachment_added") == kinds.index("tool_call_finished") - 1
    (added,), (finished,) = named(events, "attachment_added"), named(events, "tool_call_finished")
    assert (added["name"], added["mime_type"]) == ("toy__image.png", "image/png")
    assert finished["attachments"] == [added["attachment_id"]]
    assert added["tool_call_id"] == finished["tool_call_id"]
    assert await bytes_of(chat, added["attachment_id"]) == ONE_PIXEL_PNG
    assert f"attachment_id {added['attachment_id']}" in last_result(chat)
    result = (await chat.branch(turn.session_id))[2].tool_call
    assert result is not None
    assert [(file.id, file.name) for file in result.attachments] == [
        (added["attachment_id"], "toy__image.png")
    ]
    (stored,) = await kept_in(chat, turn.session_id)
    assert (stored.source, stored.tool_call_id) == ("tool", finished["tool_call_id"])


async def test_a_large_text_is_kept_whole_and_the_model_reads_its_beginning(chat: Chat) -> None:
    chat.fake.script(calls(Call("toy__big", {"size": 100_000})), text("Much."))
    turn = await chat.send("Get it all.")
    events = await chat.events(turn.id)
    (added,) = named(events, "attachment_added")
    assert (added["mime_type"], added["size_bytes"]) == ("text/plain", 100_000)
    assert await bytes_of(chat, added["attachment_id"]) == b"x" * 100_000
    said = last_result(chat)
    assert said.startswith("x" * 4_000 + "\n[The first 4,000 of 100,000 characters")
    assert added["attachment_id"] in said
    assert len(said) < 4_300


async def test_large_data_is_kept_as_json(chat: Chat) -> None:
    chat.fake.script(calls(Call("toy__rows", {"number": 5_000})), text("Many."))
    turn = await chat.send("Get the rows.")
    (added,) = named(await chat.events(turn.id), "attachment_added")
    assert (added["mime_type"], added["name"]) == ("application/json", "toy__rows.json")
    assert len(json.loads(await bytes_of(chat, added["attachment_id"]))["rows"]) == 5_000


async def test_a_large_text_that_cannot_be_kept_is_only_cut(chat: Chat) -> None:
    chat.files.max_size_bytes = 50_000
    chat.fake.script(calls(Call("toy__big", {"size": 100_000})), text("Much."))
    events = await chat.events((await chat.send("Get it all.")).id)
    assert named(events, "attachment_added") == []
    assert "of 100,000 characters are left out]" in last_result(chat)
    assert len(last_result(chat)) > 30_000


async def test_a_file_that_is_refused_fails_no_call(chat: Chat) -> None:
    chat.files.max_size_bytes = 10
    chat.fake.script(calls(Call("toy__image", {})), text("None."))
    turn = await chat.send("Draw.")
    events = await chat.events(turn.id)
    assert named(events, "tool_call_finished")[0]["status"] == "done"
    assert "[not kept: image/png, 70 bytes. The file is larger" in last_result(chat)
    assert await kept_in(chat, turn.session_id) == []


async def test_a_file_on_the_server_itself_is_fetched_and_kept(
    chat: Chat, toy: ServerProcess
) -> None:
    uri = toy.url_of("files/picture?expires=1&signature=2")
    chat.fake.script(calls(Call("toy__linked", {"uri": uri})), text("A pixel."))
    turn = await chat.send("Get it.")
    (added,) = named(await chat.events(turn.id), "attachment_added")
    assert added["name"] == "picture.png"
    assert await bytes_of(chat, added["attachment_id"]) == ONE_PIXEL_PNG
    assert uri not in last_result(chat)


async def test_a_link_to_another_place_stays_a_line(chat: Chat, fake: FakeOpenRouter) -> None:
    uri = f"{fake.base_url}/models"
    chat.fake.script(calls(Call("toy__linked", {"uri": uri})), text("A link."))
    events = await chat.events((await chat.send("Get it.")).id)
    assert named(events, "attachment_added") == []
    assert last_result(chat) == f"[resource: picture.png, {uri}]"


async def test_a_link_that_moves_on_is_not_followed(chat: Chat, toy: ServerProcess) -> None:
    chat.fake.script(calls(Call("toy__linked", {"uri": toy.url_of("files/moved")})), text("No."))
    events = await chat.events((await chat.send("Get it.")).id)
    assert named(events, "attachment_added") == []
    assert "did not give the file: it answered with a redirect" in last_result(chat)


async def test_what_a_server_uploaded_belongs_to_the_chat_that_asked(chat: Chat) -> None:
    uploaded = await chat.attach(ONE_PIXEL_PNG, "made.png")
    link = {"uri": "http://127.0.0.1:1/", "attachment_id": uploaded.id}
    chat.fake.script(calls(Call("toy__linked", link)), text("A pixel."))
    turn = await chat.send("Make it.")
    (added,) = named(await chat.events(turn.id), "attachment_added")
    assert added["attachment_id"] == uploaded.id
    assert [file.id for file in await kept_in(chat, turn.session_id)] == [uploaded.id]


async def test_an_image_of_the_model_is_kept_with_its_answer(chat: Chat) -> None:
    chat.fake.script(drawn(DATA_URL), text("Yes."))
    turn = await chat.send("Draw.")
    events = await chat.events(turn.id)
    (added,) = named(events, "attachment_added")
    assert added["tool_call_id"] is None
    assert await bytes_of(chat, added["attachment_id"]) == ONE_PIXEL_PNG
    answer = (await chat.branch(turn.session_id))[1]
    assert [file.name for file in answer.attachments] == ["image.png"]
    again = await chat.send("Is it good?", session_id=turn.session_id)
    await chat.events(again.id)
    assert added["attachment_id"] in chat.fake.received[1].messages[2]["content"]


@pytest.mark.parametrize("url", ["https://pictures.example/a.png", "data:image/png;base64,@@@@"])
async def test_an_image_that_cannot_be_kept_is_told_of(chat: Chat, url: str) -> None:
    chat.fake.script(drawn(url))
    events = await chat.events((await chat.send("Draw.")).id)
    assert [event["code"] for event in named(events, "notice")] == ["image_not_kept"]
    assert events[-1].type == "turn_finished"


async def test_a_stop_while_a_file_is_being_kept_leaves_nothing_dangling(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.fake.script(calls(Call("toy__image", {})))
    turn = await chat.send("Draw.")
    await chat.until(turn.id, "tool_call_started")
    await chat.orchestrator.cancel(chat.owner_id, turn.id)
    events = await chat.events(turn.id)
    told = {event["attachment_id"] for event in named(events, "attachment_added")}
    kept = {file.id for file in await kept_in(chat, turn.session_id)}
    assert told <= kept


async def test_a_kill_between_bytes_and_row_leaves_no_file_and_no_word_of_it(
    tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess
) -> None:
    fake.script(calls(Call("toy__image", {})), text("A pixel."))
    command = (sys.executable, "-m", "tests.orchestrator.chat.dying")
    places = (str(tmp_path), fake.base_url, toy.url)
    dying = await asyncio.create_subprocess_exec(*command, *places, stdout=asyncio.subprocess.PIPE)
    said, _ = await dying.communicate()
    assert dying.returncode == -signal.SIGKILL
    turn_id = said.decode().strip()
    assert [path for path in (tmp_path / "attachments").rglob("att_*") if path.is_file()]
    async with running_chat(tmp_path, fake, toy.url) as chat:
        events = await chat.events(turn_id)
        assert named(events, "attachment_added") == []
        assert events[-1].type == "turn_failed"
        (call,) = await chat.calls(turn_id)
        assert (call.state, call.attachments) == ("cancelled", [])
        while left := await chat.database.read(attachments.states):
            assert {row.state for row in left.values()} <= {"incoming", "deleting"}
            await asyncio.sleep(0.01)
        assert not [path for path in (tmp_path / "attachments").rglob("att_*") if path.is_file()]
        session_id = (await chat.state(turn_id)).session_id
        again = await chat.send("Again.", session_id=session_id)
        assert (await chat.events(again.id))[-1].type == "turn_finished"
