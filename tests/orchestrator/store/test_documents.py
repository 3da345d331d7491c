import asyncio
import json
from dataclasses import replace

import pytest

from orchestrator.domain.model_settings import ModelSettings
from orchestrator.domain.presets import Suggestion, SuggestionsDocument
from orchestrator.domain.servers import ServerConfig, ServersDocument
from orchestrator.errors import Conflict, StorageFull
from orchestrator.store.document_folder import Contents, DocumentFolder
from orchestrator.store.documents import Documents
from tests.orchestrator.store.crashing import crashes

SERVER = ServerConfig(id="one", url="http://127.0.0.1:9/mcp")
BEFORE = Contents(
    model_settings=ModelSettings(model="old/model"),
    mcp_servers=ServersDocument(servers=(SERVER,)),
)
AFTER = Contents(
    model_settings=ModelSettings(model="new/model"),
    suggestions=SuggestionsDocument(suggestions=(Suggestion(id="a", label="A", text="Do a"),)),
)


@pytest.fixture
def folder(tmp_path):
    folder = DocumentFolder(tmp_path)
    folder.replace(Contents(), BEFORE)
    return folder


async def test_a_change_is_on_the_disk_and_told_before_it_is_answered(folder):
    documents, told = Documents(folder.folder), []

    async def listen(before, after):
        told.append((before, after))

    documents.subscribe(listen)
    assert await documents.change(lambda now: AFTER) == AFTER
    assert (documents.current, told) == (AFTER, [(BEFORE, AFTER)])
    assert DocumentFolder(folder.folder).read() == AFTER


async def test_what_is_refused_changes_nothing(folder):
    documents = Documents(folder.folder)

    def refuse(_now):
        raise Conflict("No.")

    with pytest.raises(Conflict):
        await documents.change(refuse)
    assert documents.current == BEFORE
    assert DocumentFolder(folder.folder).read() == BEFORE


async def test_an_edit_by_hand_is_taken_over_and_a_change_builds_on_it(folder):
    documents = Documents(folder.folder)
    path = folder.path("mcp_servers")
    edited = json.loads(path.read_bytes())
    edited["servers"][0]["title"] = "By hand"
    path.write_text(json.dumps(edited))
    chosen = ModelSettings(model="new/model")
    after = await documents.change(lambda now: replace(now, model_settings=chosen))
    assert after.mcp_servers.servers[0].title == "By hand"
    assert after.model_settings == chosen


async def test_an_edit_that_cannot_be_read_is_set_aside_and_said(folder):
    documents = Documents(folder.folder)
    path = folder.path("mcp_servers")
    path.write_text('{"servers": [{"id": "UPPER", "url": "http://127.0.0.1:9/mcp"}]}')
    assert await documents.change(lambda now: now) == BEFORE
    [problem] = documents.problems
    assert "servers.0.id" in problem
    [aside] = path.parent.glob("mcp_servers.json.corrupt-*")
    assert "UPPER" in aside.read_text()
    assert Documents(folder.folder).current == BEFORE


async def test_an_edit_found_by_a_change_that_is_refused_is_in_force_all_the_same(folder):
    documents = Documents(folder.folder)
    folder.path("model_settings").write_text('{"model": "by/hand"}')

    def refuse(_now):
        raise Conflict("No.")

    with pytest.raises(Conflict):
        await documents.change(refuse)
    assert documents.current.model_settings.model == "by/hand"


async def test_edits_are_found_without_being_asked_for(folder):
    documents, seen = Documents(folder.folder), asyncio.Event()

    async def listen(_before, _after):
        seen.set()

    documents.subscribe(listen)
    following = asyncio.create_task(documents.follow())
    folder.path("model_settings").write_text('{"model": "by/hand"}')
    async with asyncio.timeout(10):
        await seen.wait()
    following.cancel()
    assert documents.current.model_settings.model == "by/hand"


async def test_a_document_that_was_broken_before_the_start_is_said(folder):
    folder.path("mcp_servers").write_text('{"servers": 5}')
    documents = Documents(folder.folder)
    [problem] = documents.problems
    assert "mcp_servers.json" in problem
    assert "servers: " in problem
    folder.path("mcp_servers").write_text('{"servers": []}')
    await documents.change(lambda now: now)
    assert documents.problems == ()


async def test_a_document_that_cannot_be_read_is_said_and_the_edit_that_mends_it_is_seen(folder):
    documents = Documents(folder.folder)
    path = folder.path("model_settings")
    path.unlink()
    path.mkdir()
    following = asyncio.create_task(documents.follow())
    async with asyncio.timeout(10):
        while not documents.problems:
            assert not following.done()
            await asyncio.sleep(0.05)
        assert "model_settings.json" in documents.problems[0]
        with pytest.raises(StorageFull, match=r"Is a directory.*model_settings\.json.*Mend that"):
            await documents.change(lambda _now: AFTER)
        assert documents.current == BEFORE
        path.rmdir()
        path.write_text('{"model": "by/hand"}')
        while documents.current.model_settings.model != "by/hand" or documents.problems:
            assert not following.done()
            await asyncio.sleep(0.05)
    following.cancel()


async def test_of_changes_at_once_none_is_lost(folder):
    documents = Documents(folder.folder)

    def add(name):
        def function(now):
            added = Suggestion(id=name, label=name, text=name)
            kept = SuggestionsDocument(suggestions=(*now.suggestions.suggestions, added))
            return replace(now, suggestions=kept)

        return function

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(documents.change(add(f"s{number}")))
    found = DocumentFolder(folder.folder).read().suggestions.suggestions
    assert {suggestion.id for suggestion in found} == {f"s{number}" for number in range(20)}


def test_a_crash_at_any_write_leaves_the_old_or_the_new_never_a_mix(tmp_path):
    DocumentFolder(tmp_path / "new").replace(Contents(), AFTER)
    outcomes = set()
    for step, found, is_whole in crashes(tmp_path, BEFORE, "replace", str(tmp_path / "new")):
        assert found in (BEFORE, AFTER), f"a mix after a crash at step {step}"
        assert found == AFTER or not is_whole
        outcomes.add(found == AFTER)
    assert outcomes == {False, True}
    assert step > 10


def test_nothing_is_left_over_after_a_change(folder):
    folder.replace(BEFORE, AFTER)
    names = {path.name for path in folder.folder.iterdir()}
    assert not [name for name in names if name.startswith(".") and name != ".documents.lock"]
    for name in names:
        assert (folder.folder / name).stat().st_mode & 0o077 == 0
