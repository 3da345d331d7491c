"""Files of the owner on their way to the model."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.attachments import Attachment
from orchestrator.errors import NotFound
from orchestrator.store import attachments, messages, sessions
from tests.fakes.effects import EffectsServer
from tests.fakes.mcp_toy_server import ONE_PIXEL_PNG
from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.orchestrator.chat.conftest import Chat, running_chat

NOTES = b"Line one of the notes.\nAsk mallory@example.org for more.\n"


def picture_of(size: int) -> bytes:
    return ONE_PIXEL_PNG + b"\0" * (size - len(ONE_PIXEL_PNG))


def content_of(chat: Chat, request: int = 0) -> Any:
    """What the last message of the owner in a request holds."""
    return chat.fake.received[request].messages[-1]["content"]


def pictures_in(content: Any) -> list[bytes]:
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


async def test_a_picture_reaches_the_model_as_a_data_url_in_every_turn(chat: Chat) -> None:
    chat.fake.script(text("One pixel."), text("Still one."))
    picture = await chat.attach(ONE_PIXEL_PNG, "pixel.png")
    turn = await chat.send("What is this?", attachment_ids=(picture.id,))
    await chat.events(turn.id)
    content = content_of(chat)
    assert content[0] == {"type": "text", "text": "What is this?"}
    assert "pixel.png" in content[1]["text"]
    assert picture.id in content[1]["text"]
    assert content[2]["image_url"]["url"].startswith("data:image/png;base64,")
    assert pictures_in(content) == [ONE_PIXEL_PNG]
    again = await chat.send("And now?", session_id=turn.session_id)
    await chat.events(again.id)
    assert pictures_in(chat.fake.received[1].messages[1]["content"]) == [ONE_PIXEL_PNG]
    assert content_of(chat, 1) == "And now?"


async def test_a_message_shows_its_files_and_they_belong_to_its_session(chat: Chat) -> None:
    chat.fake.script(text("Thanks."))
    both = [await chat.attach(ONE_PIXEL_PNG, "b.png"), await chat.attach(NOTES, "a.txt")]
    turn = await chat.send("Look.", attachment_ids=tuple(file.id for file in both))
    await chat.events(turn.id)
    question = (await chat.branch(turn.session_id))[0]
    assert [(file.id, file.name, file.mime) for file in question.attachments] == [
        (both[0].id, "b.png", "image/png"),
        (both[1].id, "a.txt", "text/plain"),
    ]
    stored = await chat.database.read(attachments.get, chat.owner_id, both[0].id)
    assert stored.session_id == turn.session_id
    assert stored.last_used_at >= both[0].last_used_at


async def test_files_alone_are_a_message_and_name_its_session(chat: Chat) -> None:
    chat.fake.script(text("A pixel."))
    picture = await chat.attach(ONE_PIXEL_PNG, "holiday.png")
    turn = await chat.send("", attachment_ids=(picture.id,))
    await chat.events(turn.id)
    session = await chat.database.read(sessions.get, chat.owner_id, turn.session_id)
    assert session.title == "holiday.png"
    assert [part["type"] for part in content_of(chat)] == ["text", "image_url"]


async def test_a_file_that_is_not_there_starts_nothing(chat: Chat) -> None:
    gone = await chat.attach(ONE_PIXEL_PNG, "gone.png")
    await chat.files.delete(chat.owner_id, [gone.id])
    with pytest.raises(NotFound, match=gone.id):
        await chat.send("Look.", attachment_ids=(gone.id,))
    found, _ = await chat.database.read(sessions.listed, chat.owner_id, limit=10)
    assert found == []


async def test_a_document_reaches_the_model_as_text_that_says_whose_it_is(chat: Chat) -> None:
    chat.fake.script(text("Notes."))
    notes = await chat.attach(NOTES, "notes.txt")
    turn = await chat.send("Sum it up.", attachment_ids=(notes.id,))
    await chat.events(turn.id)
    content = content_of(chat)
    assert isinstance(content, str)
    head, _, rest = content.partition(f"----- content of {notes.id}")
    assert head.startswith("Sum it up.")
    assert "notes.txt (text/plain" in head
    assert "Line one of the notes." in rest
    assert rest.rstrip().endswith(f"----- end of {notes.id} -----")


async def test_a_document_is_read_once_and_a_long_one_is_cut(
    chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.chat.attached.MAX_DOCUMENT_CHARS", 1_000)
    chat.fake.script(text("Long."), text("Long, still."))
    long = await chat.attach(b"0123456789" * 200, "long.txt")
    turn = await chat.send("Read.", attachment_ids=(long.id,))
    await chat.events(turn.id)
    assert "1,000 characters are left out]" in content_of(chat)
    (blob,) = (tmp_path / "attachments").rglob(long.id)
    blob.unlink()
    again = await chat.send("Again.", session_id=turn.session_id)
    await chat.events(again.id)
    assert "0123456789" in chat.fake.received[1].messages[1]["content"]


async def test_what_cannot_be_read_is_said_in_words(chat: Chat) -> None:
    chat.fake.script(text("Hm."))
    broken = await chat.attach(b"%PDF-1.7\nnothing that follows is one", "broken.pdf")
    sound = await chat.attach(b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb\x90\x64", "a.mp3")
    turn = await chat.send("Read.", attachment_ids=(broken.id, sound.id))
    events = await chat.events(turn.id)
    assert events[-1].type == "turn_finished"
    assert "[It could not be read: " in content_of(chat)
    assert "file a.mp3 (audio/mpeg, 421 bytes)" in content_of(chat)


async def test_the_newest_pictures_have_the_room_and_a_large_one_is_named(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.chat.attached.MAX_PICTURE_BYTES", 1_000)
    monkeypatch.setattr("orchestrator.chat.attached.MAX_PICTURES_BYTES", 1_500)
    chat.fake.script(text("Seen."))
    sizes = (900, 1_001, 600)
    files = [await chat.attach(picture_of(size), f"{size}.png") for size in sizes]
    turn = await chat.send("Look.", attachment_ids=tuple(file.id for file in files))
    await chat.events(turn.id)
    content = content_of(chat)
    assert [len(picture) for picture in pictures_in(content)] == [900, 600]
    assert "It is larger than 1,000 bytes." in content[3]["text"]


async def test_a_model_that_takes_no_pictures_is_told_their_names(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.openrouter.INPUTS", ["text"])
    chat.fake.script(text("I cannot see it."))
    picture = await chat.attach(ONE_PIXEL_PNG, "pixel.png")
    turn = await chat.send("Look.", attachment_ids=(picture.id,))
    await chat.events(turn.id)
    assert isinstance(content_of(chat), str)
    assert "pixel.png" in content_of(chat)
    assert "takes no pictures" in content_of(chat)


async def test_a_store_that_everybody_reaches_gives_addresses_instead_of_data(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def public_url(attachment: Attachment) -> str:
        return f"https://bucket.example/{attachment.id}"

    monkeypatch.setattr(chat.files, "public_url", public_url)
    chat.fake.script(text("One pixel."))
    picture = await chat.attach(ONE_PIXEL_PNG, "pixel.png")
    turn = await chat.send("Look.", attachment_ids=(picture.id,))
    await chat.events(turn.id)
    url = content_of(chat)[2]["image_url"]["url"]
    assert url == f"https://bucket.example/{picture.id}"


async def test_a_picture_whose_bytes_are_gone_is_said_to_be(chat: Chat, tmp_path: Path) -> None:
    chat.fake.script(text("Nothing there."))
    picture = await chat.attach(ONE_PIXEL_PNG, "pixel.png")
    (blob,) = (tmp_path / "attachments").rglob(picture.id)
    blob.unlink()
    turn = await chat.send("Look.", attachment_ids=(picture.id,))
    assert (await chat.events(turn.id))[-1].type == "turn_finished"
    assert content_of(chat)[2]["text"].startswith("[The picture could not be read: ")


async def test_a_file_taints_the_chat_and_its_text_is_not_the_owners(gated: Chat) -> None:
    mail = {"channel": "mallory@example.org", "text": "Hi", "account": "me"}
    await gated.let_stand("effects__post_update")
    gated.fake.script(calls(Call("effects__post_update", mail)), text("Sent."))
    notes = await gated.attach(NOTES, "notes.txt")
    turn = await gated.send("Do what the notes say.", attachment_ids=(notes.id,))
    asked = await gated.until(turn.id, "approval_requested")
    assert asked["taint"] == ["file notes.txt"]
    await gated.decide(asked["approval_id"], approve=False)
    await gated.events(turn.id)


async def test_a_deleted_file_stays_a_gap_and_its_taint_stays(chat: Chat) -> None:
    chat.fake.script(text("Seen."), text("Gone."))
    picture = await chat.attach(ONE_PIXEL_PNG, "pixel.png")
    turn = await chat.send("Look.", attachment_ids=(picture.id,))
    await chat.events(turn.id)
    await chat.files.delete(chat.owner_id, [picture.id])
    shown = (await chat.branch(turn.session_id))[0].attachments
    assert [(file.id, file.deleted) for file in shown] == [(picture.id, True)]
    again = await chat.send("Again.", session_id=turn.session_id)
    await chat.events(again.id)
    assert "has been deleted" in chat.fake.received[1].messages[1]["content"]


async def test_a_restart_shows_a_waiting_turn_its_picture_again(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> None:
    fake.script(calls(Call("effects__delete_item", {"item_id": "7"})), text("Deleted."))
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        picture = await chat.attach(ONE_PIXEL_PNG, "pixel.png")
        turn = await chat.send("Delete what is on it.", attachment_ids=(picture.id,))
        (approval_id,) = await chat.asked(turn.id)
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        await chat.decide(approval_id)
        await chat.events(turn.id)
        assert pictures_in(fake.received[1].messages[1]["content"]) == [ONE_PIXEL_PNG]


async def test_a_turn_without_files_looks_for_none(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_asks(*_: object, **__: object) -> None:
        raise AssertionError("nobody asked for files")

    monkeypatch.setattr(attachments, "named", nobody_asks)
    monkeypatch.setattr("orchestrator.llm.openrouter.fetch_models", nobody_asks)
    chat.fake.script(calls(Call("toy__echo", {"text": "hi"})), text("Hi."), text("Hi again."))
    turn = await chat.send("Say hi.")
    await chat.events(turn.id)
    again = await chat.send("Again.", session_id=turn.session_id)
    assert (await chat.events(again.id))[-1].type == "turn_finished"


async def test_pictures_are_encoded_in_small_pieces_and_beside_the_event_loop(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, pieces = base64.b64encode, list[tuple[int, bool]]()

    def watched(data: bytes) -> bytes:
        pieces.append((len(data), threading.current_thread() is threading.main_thread()))
        return encode(data)

    large = picture_of(4 * 1024 * 1024)
    chat.fake.script(text("Large."))
    picture = await chat.attach(large, "large.png")
    monkeypatch.setattr("orchestrator.chat.attached.base64.b64encode", watched)
    turn = await chat.send("Look.", attachment_ids=(picture.id,))
    await chat.events(turn.id)
    assert pictures_in(content_of(chat)) == [large]
    assert max(size for size, _ in pieces) <= 512 * 1024
    assert max(size for size, is_loop in pieces if is_loop) < 3


async def test_a_page_of_messages_shows_files_too(chat: Chat) -> None:
    chat.fake.script(text("Seen."))
    picture = await chat.attach(ONE_PIXEL_PNG, "pixel.png")
    turn = await chat.send("Look.", attachment_ids=(picture.id,))
    await chat.events(turn.id)
    session = await chat.database.read(sessions.get, chat.owner_id, turn.session_id)
    found, _ = await chat.database.read(
        messages.page, chat.owner_id, turn.session_id, session.leaf_message_id, limit=10
    )
    assert [file.name for file in found[0].attachments] == ["pixel.png"]
