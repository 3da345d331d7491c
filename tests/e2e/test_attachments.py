"""Files in a chat, as a person meets them: attached, sent, shown, looked at, refused, deleted."""

import base64
import math
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, FilePayload, Locator, Route, StorageState, expect

from tests.e2e.chat_page import ChatPage
from tests.e2e.conftest import OpenPage, sign_in_link
from tests.e2e.test_looks import AXE, PHONE, RUN_AXE, SIGHTS
from tests.fakes.documents import pdf_pages, pdf_text, zipped
from tests.fakes.mcp_servers import toy_server
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.installation import Installation, running

pytestmark = pytest.mark.browser

MAX_SIZE = 300_000
SOUND_RATE = 8_000
DELETION_LIMIT_S = 15.0
BRING = """
([kind, files]) => {
    const transfer = new DataTransfer();
    for (const {name, mime, data} of files) {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, {type: mime}));
    }
    const init = {bubbles: true, cancelable: true};
    if (kind === 'paste') {
        document.activeElement.dispatchEvent(
            new ClipboardEvent('paste', {...init, clipboardData: transfer}));
        return;
    }
    for (const type of kind === 'drag' ? ['dragover'] : ['dragover', 'drop']) {
        document.querySelector('main').dispatchEvent(
            new DragEvent(type, {...init, dataTransfer: transfer}));
    }
}
"""
IS_DRAWN = "image => image.complete && image.naturalWidth > 0"


def picture(width: int = 320, height: int = 200, *, blue: int = 120) -> bytes:
    """A PNG with a gradient."""
    rows = b"".join(
        b"\x00"
        + bytes(v for x in range(width) for v in (x * 255 // width, y * 255 // height, blue))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def file(name: str, data: bytes, mime: str = "application/octet-stream") -> FilePayload:
    return {"name": name, "mimeType": mime, "buffer": data}


def png(name: str = "heron.png", **look: int) -> FilePayload:
    return file(name, picture(**look), "image/png")


LONG_NAME = file(f"{'very-long-name-' * 12}.csv", b"a,b\n1,2\n", "text/csv")
REPORT = file("report.pdf", pdf_pages(pdf_text("The heron eats 42 fish.")), "application/pdf")


def tone(seconds: float = 0.5) -> bytes:
    """A WAV of one note."""
    wave = (
        int(9_000 * math.sin(2 * math.pi * 440 * at / SOUND_RATE))
        for at in range(int(SOUND_RATE * seconds))
    )
    data = b"".join(struct.pack("<h", sample) for sample in wave)
    form = struct.pack("<IHHIIHH", 16, 1, 1, SOUND_RATE, 2 * SOUND_RATE, 2, 16)
    chunks = b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def bring(chat: ChatPage, kind: str, *files: FilePayload) -> None:
    """Paste or drop files, or drag them above the page."""
    sent = [
        {
            "name": one["name"],
            "mime": one["mimeType"],
            "data": base64.b64encode(one["buffer"]).decode(),
        }
        for one in files
    ]
    chat.page.evaluate(BRING, [kind, sent])


def pick(chat: ChatPage, *files: FilePayload) -> None:
    chat.page.locator("input[type=file]").set_input_files(list(files))


def say(chat: ChatPage, words: str) -> None:
    """Send a message by its button, as on a phone, and wait until the answer is over."""
    chat.composer.fill(words)
    chat.send_button.click()
    expect(chat.turns.last).to_have_attribute("aria-busy", "false", timeout=15_000)
    expect(chat.send_button).to_be_visible()


def tray(chat: ChatPage) -> Locator:
    return chat.page.get_by_role("list", name="Attached files").get_by_role("listitem")


def are_uploaded(chat: ChatPage, number: int) -> None:
    expect(tray(chat)).to_have_count(number)
    expect(tray(chat).and_(chat.page.locator(".ready"))).to_have_count(number)


def is_drawn(image: Locator) -> None:
    expect(image).to_be_visible()
    image.scroll_into_view_if_needed()
    until(lambda: image.evaluate(IS_DRAWN))


def until(holds: Callable[[], Any], limit_s: float = DELETION_LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def blobs(installation: Installation) -> list[str]:
    folder = installation.data_dir / "attachments"
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, shared_model: FakeOpenRouter
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("files")
    with toy_server(folder / "notes.txt", "--with-files") as toy:
        installation = Installation(
            folder,
            shared_model.base_url,
            model=SCRIPT_MODEL,
            servers=[{"id": "toy", "title": "Toy", "url": toy.url, "trust": "fleet"}],
            more={"ATTACHMENTS_MAX_SIZE_BYTES": str(MAX_SIZE)},
        )
        with running(installation):
            yield installation


@pytest.fixture(scope="module")
def signed_in(browser: Browser, installation: Installation) -> StorageState:
    context = browser.new_context()
    page = context.new_page()
    page.goto(sign_in_link(installation))
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    state = context.storage_state()
    context.close()
    return state


def test_files_are_pasted_dropped_sent_seen_again_and_deleted_with_their_chat(
    chat: ChatPage, model: FakeOpenRouter, installation: Installation
):
    before = set(blobs(installation))
    chat.composer.fill("what does it eat?")
    chat.composer.focus()
    bring(chat, "paste", png())
    are_uploaded(chat, 1)
    bring(chat, "drop", REPORT, png("second.png", blue=10))
    are_uploaded(chat, 3)
    assert len(set(blobs(installation)) - before) == 3
    model.script(text("42 fish."))
    chat.ask("what does it eat?")
    expect(tray(chat)).to_have_count(0)
    wanted = str(model.received[-1].body)
    assert "The heron eats 42 fish." in wanted
    assert wanted.count("data:image/png") == 2
    for _ in range(2):
        mine = chat.turns.first
        expect(mine.get_by_role("listitem")).to_have_count(3)
        is_drawn(mine.get_by_role("img", name="heron.png"))
        is_drawn(mine.get_by_role("img", name="second.png"))
        expect(mine.get_by_role("link", name="Download report.pdf")).to_contain_text("PDF")
        chat.page.reload()
    with chat.page.expect_download() as downloads:
        chat.page.get_by_role("link", name="Download report.pdf").click()
    assert downloads.value.suggested_filename == "report.pdf"
    assert downloads.value.path().read_bytes() == REPORT["buffer"]
    chat.page.locator("li.current").get_by_role("button").click()
    chat.button("Delete").click()
    expect(chat.page.get_by_text("Delete this chat and its files?")).to_be_visible()
    chat.button("Delete").click()
    expect(chat.page).to_have_url(f"{chat.url}/")
    until(lambda: set(blobs(installation)) <= before)


def test_pictures_are_looked_at_one_after_the_other(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("Birds."))
    pick(chat, png("one.png"), REPORT, png("two.png", blue=250))
    are_uploaded(chat, 3)
    chat.ask("look")
    chat.button("Open one.png").click()
    dialog = chat.page.get_by_role("dialog", name="one.png")
    is_drawn(dialog.get_by_role("img", name="one.png"))
    expect(dialog.get_by_text("1 of 2")).to_be_visible()
    chat.page.keyboard.press("ArrowRight")
    is_drawn(chat.page.get_by_role("dialog", name="two.png").get_by_role("img", name="two.png"))
    chat.page.keyboard.press("ArrowRight")
    expect(chat.page.get_by_role("dialog", name="one.png")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("dialog")).to_have_count(0)
    expect(chat.button("Open one.png")).to_be_focused()
    expect(chat.page.get_by_text("You stopped")).to_have_count(0)


def test_the_button_works_by_keyboard_and_a_message_needs_no_text(
    chat: ChatPage, model: FakeOpenRouter
):
    model.script(text("I see."))
    expect(chat.composer).to_be_focused()  # The page does that once it is ready.
    with chat.page.expect_file_chooser() as choosers:
        chat.button("Attach files").press("Enter")
    assert choosers.value.is_multiple()
    choosers.value.set_files([png(), REPORT])
    are_uploaded(chat, 2)
    expect(chat.page.locator("p[role=status]").last).to_have_text("2 files attached")
    chat.button("Remove report.pdf").focus()
    chat.page.keyboard.press("Enter")
    expect(chat.button("Remove heron.png")).to_be_focused()
    are_uploaded(chat, 1)
    chat.composer.press("Enter")
    expect(chat.turns.last).to_contain_text("I see.")
    is_drawn(chat.turns.first.get_by_role("img", name="heron.png"))


def test_what_is_refused_says_why_and_holds_the_message_back(
    chat: ChatPage, model: FakeOpenRouter, installation: Installation
):
    before = set(blobs(installation))
    pick(
        chat,
        file("archive.zip", zipped({"a.txt": b"a"}), "application/zip"),
        file("long.txt", b"long " * MAX_SIZE, "text/plain"),
        file("nothing.txt", b"", "text/plain"),
        png(),
    )
    for name, words in (("archive.zip", "is an archive"), ("long.txt", "300,000 bytes")):
        expect(tray(chat).filter(has_text=name)).to_contain_text(words)
    expect(tray(chat).filter(has_text="nothing.txt")).to_contain_text("is empty")
    expect(chat.button("Retry")).to_have_count(0)
    chat.composer.fill("look")
    expect(chat.send_button).to_be_disabled()
    chat.composer.press("Enter")
    expect(chat.turns).to_have_count(0)
    for name in ("archive.zip", "long.txt", "nothing.txt"):
        chat.button(f"Remove {name}").click()
    model.script(text("A bird."))
    chat.ask("look")
    assert len(set(blobs(installation)) - before) == 1


def test_an_upload_that_broke_off_is_retried_and_the_message_waits(
    chat: ChatPage, model: FakeOpenRouter
):
    model.script(text("Here."))
    chat.page.route("**/api/uploads", lambda route: route.abort())
    pick(chat, png())
    expect(tray(chat)).to_contain_text("Not uploaded: Flotilla is not answering.")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    chat.page.unroute("**/api/uploads")
    chat.page.route("**/api/uploads", hold)
    chat.button("Retry heron.png").click()
    chat.say("look")
    expect(chat.button("Sends after upload")).to_be_visible()
    expect(chat.turns).to_have_count(0)
    until(lambda: chat.page.wait_for_timeout(20) or held)
    held[0].continue_()
    expect(chat.turns.last).to_contain_text("Here.")
    is_drawn(chat.turns.first.get_by_role("img", name="heron.png"))


def test_drafts_keep_their_files(chat: ChatPage, model: FakeOpenRouter, installation: Installation):
    model.script(text("Yes."))
    chat.ask("a chat")
    pick(chat, png(), REPORT)
    are_uploaded(chat, 2)
    chat.page.keyboard.press("ControlOrMeta+Shift+O")
    expect(tray(chat)).to_have_count(0)
    chat.page.go_back()
    are_uploaded(chat, 2)
    chat.page.reload()
    are_uploaded(chat, 2)
    before = set(blobs(installation))
    chat.button("Remove report.pdf").click()
    until(lambda: len(before - set(blobs(installation))) == 1)
    model.script(text("A heron."))
    chat.ask("and this?")
    is_drawn(chat.page.get_by_role("img", name="heron.png"))
    assert chat.evaluate("Object.keys(localStorage).filter((key) => key.includes('draft'))") == []


def test_names_and_contents_do_nothing(chat: ChatPage, model: FakeOpenRouter):
    script = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script>'
    files = (
        file("<img src=x onerror=alert(1)>.png", picture(), "image/png"),
        file("evil.svg", script + b"</svg>", "image/svg+xml"),
        file("page.html", b"<script>alert(1)</script>", "text/html"),
        file("gnp.\u202etxt.exe", b"plain", "text/plain"),
        file("../../etc/passwd", b"root", "text/plain"),
    )
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    chat.page.on("dialog", note)
    bring(chat, "drop", *files)
    are_uploaded(chat, len(files))
    model.script(text("Seen."))
    chat.ask("look")
    mine = chat.turns.first
    expect(mine.get_by_role("listitem")).to_have_count(len(files))
    expect(mine.get_by_role("img")).to_have_count(1)
    expect(mine.get_by_text("etc/")).to_have_count(0)
    is_drawn(mine.get_by_role("img"))
    for link in mine.get_by_role("link").all():
        path = link.get_attribute("href") or ""
        assert re.fullmatch(r"/api/attachments/att_\w+/content", path)
        answer = chat.page.request.get(chat.url + path)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]
        assert "svg" not in answer.headers["content-type"]
    assert dialogs == []
    assert chat.page.locator("svg script, main script").count() == 0


def test_pictures_and_tables_of_tools_stand_at_their_station(chat: ChatPage, model: FakeOpenRouter):
    many = Call("toy__rows", {"number": 3_000})
    model.script(calls(Call("toy__image"), many), text("There."))
    chat.ask("draw")
    for _ in range(2):
        is_drawn(chat.turns.last.get_by_role("img").first)
        chip = chat.turns.last.get_by_role("link", name=re.compile("Download Full result"))
        expect(chip).to_contain_text("JSON")
        expect(chip).to_contain_text("kB")
        chat.page.reload()
    chat.button("Show as table").click()
    table = chat.page.get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(1_001)
    expect(chat.page.get_by_text("First 1,000 of 3,000 rows")).to_be_visible()
    chat.button("Hide table").click()
    expect(table).to_have_count(0)
    chat.button("toy image done").click()
    expect(chat.turns.last.get_by_role("link", name=re.compile("Download"))).to_have_count(2)


def test_a_sound_can_be_played(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("A note."))
    pick(chat, file("note.wav", tone(), "audio/wav"))
    are_uploaded(chat, 1)
    chat.ask("listen")
    player = chat.turns.first.locator("audio")
    expect(player).to_be_visible()
    expect(player).to_have_js_property("error", None)
    expect(player).to_have_js_property("duration", 0.5)
    assert player.evaluate(
        "async (sound) => { sound.muted = true; await sound.play(); return true; }"
    )


def test_a_sound_of_a_tool_can_be_played(chat: ChatPage, model: FakeOpenRouter):
    model.script(calls(Call("toy__sound")), text("Silence."))
    chat.ask("be quiet")
    player = chat.turns.last.locator("audio")
    expect(player).to_have_js_property("error", None)
    until(lambda: 1 < player.evaluate("sound => sound.duration") < 1.2)
    assert player.evaluate("async (sound) => { await sound.play(); return !sound.paused; }")
    until(lambda: player.evaluate("sound => sound.ended"))


def test_pictures_stand_in_boxes_of_their_own_size(chat: ChatPage, model: FakeOpenRouter):
    model.script(calls(Call("toy__image")), text("A pixel."))
    pick(chat, png("wide.png", width=480, height=120), png("tall.png", width=90, height=300))
    are_uploaded(chat, 2)
    chat.ask("look, and draw")
    for _ in range(2):
        for name, width, height in (
            ("wide.png", 240, 60),
            ("tall.png", 44, 112),
            ("toy__image.png", 44, 44),
        ):
            box = chat.button(f"Open {name}").bounding_box()
            assert box is not None
            assert (box["width"], box["height"]) == pytest.approx((width + 2, height + 2), abs=0.6)
        chat.page.reload()
        expect(chat.button("Open toy__image.png")).to_be_visible()


def test_a_deleted_file_leaves_its_name(chat: ChatPage, model: FakeOpenRouter):
    model.script(text("Seen."))
    pick(chat, png(), REPORT)
    are_uploaded(chat, 2)
    chat.ask("look")
    path = chat.page.get_by_role("link", name="Download report.pdf").get_attribute("href") or ""
    deleted = chat.page.request.delete(
        chat.url + path.removesuffix("/content"), headers={"Origin": chat.url}
    )
    assert deleted.status == 204
    chat.page.reload()
    is_drawn(chat.page.get_by_role("img", name="heron.png"))
    expect(chat.turns.first.get_by_text("deleted")).to_be_visible()
    expect(chat.page.get_by_role("link", name="Download report.pdf")).to_have_count(0)


def test_nothing_moves_when_pictures_arrive(chat: ChatPage, model: FakeOpenRouter):
    model.script(calls(Call("toy__image")), text("There."), text("Here."))
    chat.ask("draw")
    pick(chat, png())
    are_uploaded(chat, 1)
    chat.ask("look")
    box = chat.button("Open heron.png").bounding_box()
    chat.page.route("**/content", lambda route: route.abort())
    chat.page.reload()
    expect(chat.turns.last).to_contain_text("Here.")
    assert chat.button("Open heron.png").bounding_box() == box


@pytest.mark.parametrize("sight", SIGHTS)
def test_axe_finds_nothing_where_files_are(sight: str, open_page: OpenPage, model: FakeOpenRouter):
    chat = open_page(**SIGHTS[sight])
    chat.evaluate(AXE.read_text())
    # What has to do with files is loaded after the page has started.
    chat.page.wait_for_load_state("networkidle")
    bring(chat, "drag", REPORT)
    expect(chat.page.get_by_text("Drop files to attach them")).to_be_visible()
    assert chat.evaluate(RUN_AXE) == []
    archive = file("archive.zip", zipped({"a.txt": b"a"}))
    bring(chat, "drop", png(), REPORT, LONG_NAME, archive)
    expect(tray(chat).and_(chat.page.locator(".ready"))).to_have_count(3)
    assert chat.evaluate(RUN_AXE) == []
    chat.button("Remove archive.zip").click()
    model.script(text("Nice."))
    say(chat, "look at all of this, please")
    chat.button("Show as table").click()
    expect(chat.page.get_by_role("table")).to_be_visible()
    assert chat.evaluate(RUN_AXE) == []
    assert chat.evaluate("document.documentElement.scrollWidth <= innerWidth")
    chat.button("Open heron.png").click()
    expect(chat.page.get_by_role("dialog")).to_be_visible()
    assert chat.evaluate(RUN_AXE) == []
    chat.button("Close").click()


@pytest.mark.parametrize("sight", SIGHTS)
def test_axe_finds_nothing_where_tools_bring_files(
    sight: str, open_page: OpenPage, model: FakeOpenRouter
):
    model.script(calls(Call("toy__image"), Call("toy__rows", {"number": 3_000})), text("There."))
    chat = open_page(**SIGHTS[sight])
    chat.evaluate(AXE.read_text())
    say(chat, "draw")
    is_drawn(chat.page.get_by_role("img"))
    chat.button("toy rows done").click()
    expect(chat.page.get_by_role("link", name="Download Full result")).to_have_count(2)
    assert chat.evaluate(RUN_AXE) == []
    assert chat.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_files_are_attached_on_a_phone(open_page: OpenPage, model: FakeOpenRouter):
    model.script(text("A bird."))
    phone = open_page(**PHONE)
    with phone.page.expect_file_chooser() as choosers:
        phone.button("Attach files").tap()
    choosers.value.set_files(png())
    are_uploaded(phone, 1)
    phone.send_button.tap()
    expect(phone.turns.last).to_contain_text("A bird.")
    phone.button("Open heron.png").tap()
    is_drawn(phone.page.get_by_role("dialog").get_by_role("img"))
