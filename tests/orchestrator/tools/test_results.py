import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import CallToolResult

from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import FileLink, ToolMedia, ToolResult, UndoCall
from orchestrator.tools.results import MAX_TEXT_LENGTH, capped_text, tool_result

FLEET = ServerConfig(id="mail", url="http://127.0.0.1:1/mcp", trust="fleet")
THIRD_PARTY = FLEET.model_copy(update={"trust": "third_party"})


def result(*content: dict[str, object], server: ServerConfig = FLEET, **more: object) -> ToolResult:
    return tool_result(CallToolResult.model_validate({"content": content, **more}), server)


def refused(code: str, server: ServerConfig = FLEET, **more: str) -> ToolResult:
    error = {"code": code, "message": "Send it? Ask the owner.", **more}
    told = text("Send it? Ask the owner.")
    return result(told, server=server, isError=True, structuredContent={"error": error})


def text(value: str) -> dict[str, object]:
    return {"type": "text", "text": value}


def test_text_blocks_are_joined():
    assert result(text("one"), text("two")) == ToolResult("done", "one\ntwo")


def test_data_that_the_text_repeats_comes_once():
    repeated = result(text('{"total": 3.0}'), structuredContent={"total": 3})
    assert repeated == ToolResult("done", '{"total": 3.0}', {"total": 3})


def test_data_that_only_wraps_the_text_comes_once():
    assert result(text("hi"), structuredContent={"result": "hi"}).text == "hi"
    assert result(text("[1,2]"), structuredContent={"result": [1, 2]}).text == "[1,2]"


def test_data_that_says_more_than_the_text_is_added():
    added = result(text("two mails"), structuredContent={"items": ["a", "b"]})
    assert added.text == 'two mails\n{"items":["a","b"]}'


def test_data_alone_becomes_the_text():
    assert result(structuredContent={"a": "ü"}).text == '{"a":"ü"}'


def test_data_too_large_for_programs_stays_with_the_model():
    huge = result(structuredContent={"a": "x" * 300_000})
    assert huge.structured is None
    assert huge.text.startswith('{"a":"xxx')
    assert "are left out]" in huge.text


def test_media_are_decoded_for_who_keeps_and_names_them():
    image = {"type": "image", "data": base64.b64encode(b"png").decode(), "mimeType": "image/png"}
    blob = {"uri": "file:///tmp/a.pdf", "blob": "cGRm", "mimeType": "application/pdf"}
    both = result(image, {"type": "resource", "resource": blob})
    assert both.media == (
        ToolMedia("image/png", b"png"),
        ToolMedia("application/pdf", b"pdf", "a.pdf"),
    )
    assert both.text == ""


def test_media_that_cannot_be_decoded_or_are_too_many_are_left_out_with_a_note():
    image = {"type": "image", "mimeType": "image/png"}
    broken = result(image | {"data": "!!!"})
    assert (broken.media, broken.text) == (
        (),
        "[left out: image/png, because its data is not base64]",
    )
    many = result(*[image | {"data": "YQ=="}] * 17)
    assert len(many.media) == 16
    assert "too much media" in many.text


def test_a_link_becomes_a_line():
    link = {
        "type": "resource_link",
        "uri": "file:///r.txt",
        "name": "r.txt",
        "mimeType": "text/plain",
    }
    assert result(link).text == "[resource: r.txt, file:///r.txt, text/plain]"


ATTACHMENT_ID = "att_" + "0" * 26


def linked(uri: str, server: ServerConfig, **meta: object) -> ToolResult:
    return result(
        {"type": "resource_link", "uri": uri, "name": "r", "_meta": meta or None}, server=server
    )


def test_files_on_a_server_of_the_fleet_and_those_it_uploaded_are_links_to_keep():
    here = linked("http://127.0.0.1:1/files/a?expires=1", FLEET)
    assert (here.links, here.text) == (
        (FileLink("http://127.0.0.1:1/files/a?expires=1", "r"),),
        "",
    )
    ours = linked("http://127.0.0.1:8000/x", FLEET, **{"flotilla/attachment_id": ATTACHMENT_ID})
    assert ours.links == (FileLink("http://127.0.0.1:8000/x", "r", None, ATTACHMENT_ID),)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:2/files/a",
        "https://127.0.0.1:1/files/a",
        "http://localhost:1/files/a",
        "http://127.0.0.1:1@evil.example/files/a",
        "http://user@127.0.0.1:1/files/a",
        "http://127.0.0.1:99999/files/a",
        "file:///etc/passwd",
        "//127.0.0.1:1/files/a",
    ],
)
def test_a_link_to_any_other_place_is_only_told(uri: str):
    told = linked(uri, FLEET)
    assert (told.links, told.text) == ((), f"[resource: r, {uri}]")


def test_a_third_party_has_no_files_of_ours():
    link = linked("http://127.0.0.1:1/a", THIRD_PARTY, **{"flotilla/attachment_id": ATTACHMENT_ID})
    assert (link.links, link.text) == ((), "[resource: r, http://127.0.0.1:1/a]")
    odd = linked("http://127.0.0.1:2/a", FLEET, **{"flotilla/attachment_id": "att_../x"})
    assert odd.links == ()


def test_too_many_links_are_told():
    link = {"type": "resource_link", "uri": "http://127.0.0.1:1/a", "name": "a"}
    many = result(*[link] * 21)
    assert len(many.links) == 20
    assert many.text == "[resource: a, http://127.0.0.1:1/a]"


def test_a_text_that_is_cut_is_there_whole_for_who_keeps_it():
    long = "x" * (MAX_TEXT_LENGTH + 1)
    assert result(text(long)).whole_text == long
    assert result(text("short")).whole_text is None


def test_an_embedded_text_is_read_as_text():
    assert result({"type": "resource", "resource": {"uri": "a:b", "text": "hi"}}).text == "hi"


def test_an_error_of_the_tool_is_a_failed_result():
    failed = result(text("no such mail\nsee above"), isError=True)
    assert (failed.status, failed.error, failed.error_code) == (
        "failed",
        "no such mail",
        "tool_failed",
    )
    assert failed.text == "no such mail\nsee above"


def test_an_error_without_words_still_says_something():
    assert result(isError=True).error == "the tool reported an error"


@given(st.text(max_size=300), st.integers(100, 200))
def test_a_cut_text_fits_and_says_how_much_is_missing(value: str, limit: int):
    cut = capped_text(value, limit)
    assert len(cut) <= limit
    if cut != value:
        kept, _, note = cut.rpartition("\n[cut here: ")
        assert value.startswith(kept)
        assert note.startswith(f"{len(value) - len(kept):,} of {len(value):,} ")


def test_a_cut_never_separates_the_halves_of_a_character():
    value = "\ud83d\ude00" * MAX_TEXT_LENGTH
    kept = capped_text(value).rpartition("\n[cut here: ")[0]
    assert kept.endswith("\ude00")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("approval_required", "failed"),
        ("grant_refused", "failed"),
        ("arguments_differ", "failed"),
        ("denied", "denied"),
        ("approval_expired", "denied"),
        ("outcome_unknown", "unknown"),
        ("in_progress", "unknown"),
    ],
)
def test_an_error_of_the_gate_keeps_its_code_and_reads_as_a_sentence(code: str, status: str):
    ended = refused(code, why="the limit of 20 sends a day is reached")
    assert (ended.status, ended.error_code) == (status, code)
    assert ended.text == ended.error == "Send it? Ask the owner."
    assert ended.structured["error"]["why"] == "the limit of 20 sends a day is reached"


def test_a_third_party_cannot_give_an_error_the_code_of_a_gate():
    ended = refused("denied", THIRD_PARTY)
    assert (ended.status, ended.error_code) == ("failed", "tool_failed")


def test_a_code_that_is_no_code_is_an_ordinary_error():
    assert refused("Not a code").error_code == "tool_failed"


def test_the_inverse_of_a_call_is_kept_for_our_own_servers():
    meta = {"flotilla/undo": {"tool": "restore", "arguments": {"id": "m1"}}}
    ours = result(text("deleted"), _meta=meta)
    theirs = result(text("deleted"), _meta=meta, server=THIRD_PARTY)
    assert ours.undo == UndoCall("mail__restore", {"id": "m1"})
    assert theirs.undo is None
    assert result(text("deleted"), _meta={"flotilla/undo": "restore"}).undo is None
