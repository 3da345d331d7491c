"""Titles by a model, through the real process."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, Gate, running_fake
from tests.fakes.openrouter_rounds import Round, text
from tests.installation import Installation, running

TITLE_MODEL = "fake/titles"


@pytest.fixture(scope="module")
def shared_fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture
def fake(shared_fake: FakeOpenRouter) -> FakeOpenRouter:
    """The fake, as if nobody had asked it anything yet."""
    shared_fake.forget_scripts()
    shared_fake.received.clear()
    return shared_fake


@pytest.fixture(scope="module")
def titled(
    tmp_path_factory: pytest.TempPathFactory, shared_fake: FakeOpenRouter
) -> Iterator[Installation]:
    """A model for titles is set."""
    folder = tmp_path_factory.mktemp("titled")
    installation = Installation(folder, shared_fake.base_url, SCRIPT_MODEL)
    document = {"version": 1, "roles": {"title": TITLE_MODEL}}
    (installation.data_dir / "model_settings.json").write_text(json.dumps(document))
    with running(installation):
        yield installation


def ask(installation: Installation, method: str, path: str, **more: Any) -> httpx2.Response:
    with httpx2.Client(
        base_url=installation.url, headers=installation.bearer, timeout=20, trust_env=False
    ) as client:
        return client.request(method, path, **more)


def say(installation: Installation, message: str, **more: Any) -> str:
    """Return the id of the session, once the turn has ended."""
    answer = ask(installation, "POST", "/api/chat/stream", json={"message": message, **more})
    assert answer.text.rstrip().splitlines()[-1].count('"type":"turn_finished"') == 1, answer.text
    data = next(line for line in answer.text.splitlines() if line.startswith("data: "))
    return json.loads(data.removeprefix("data: "))["session_id"]


def session(installation: Installation, session_id: str) -> dict[str, Any]:
    return ask(installation, "GET", f"/api/sessions/{session_id}").json()


def named(installation: Installation, session_id: str) -> dict[str, Any]:
    """Return the session once a model has named it."""
    deadline = time.monotonic() + 10
    while (found := session(installation, session_id))["title_source"] != "model":
        assert time.monotonic() < deadline, found
    return found


def paid_titles(installation: Installation, session_id: str = "%") -> list[sqlite3.Row]:
    """Return the rows of the ledger for titles, once there are some."""
    deadline = time.monotonic() + 10
    with closing(sqlite3.connect(installation.data_dir / "chat_sessions.db")) as database:
        database.row_factory = sqlite3.Row
        query = "SELECT * FROM usage WHERE purpose = 'title' AND session_id LIKE ?"
        while not (rows := database.execute(query, (session_id,)).fetchall()):
            assert time.monotonic() < deadline
    return rows


def test_without_a_model_for_it_a_session_is_named_on_request_only(
    tmp_path: Path, fake: FakeOpenRouter
) -> None:
    with running(Installation(tmp_path, fake.base_url, SCRIPT_MODEL)) as installation:
        _name_on_request(installation, fake)
        assert len(fake.received) == 2
        assert len(paid_titles(installation)) == 1


def _name_on_request(installation: Installation, fake: FakeOpenRouter) -> None:
    fake.script(text("Lisbon."), text('**Title: "A weekend in Lisbon."**\n\nAs you asked.'))
    session_id = say(installation, "Where shall I go?\nI like trams.")
    before = session(installation, session_id)
    assert (before["title"], before["title_source"]) == ("Where shall I go?", "first_words")
    ask(installation, "PATCH", f"/api/sessions/{session_id}", json={"title": "Mine"})
    assert session(installation, session_id)["title_source"] == "owner"
    answer = ask(installation, "POST", f"/api/sessions/{session_id}/title")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["title"], answer.json()["title_source"]) == (
        "A weekend in Lisbon",
        "model",
    )
    sent = fake.received[-1]
    assert json.loads(sent.messages[-1]["content"]) == {
        "question": "Where shall I go?\nI like trams.",
        "answer": "Lisbon.",
    }
    assert "tools" not in sent.body


def test_a_first_answer_is_named_by_the_model_of_that_role_and_paid_for(
    titled: Installation, fake: FakeOpenRouter
) -> None:
    gate = Gate()
    fake.script(text("Lisbon."), text("Porto."))
    fake.script(text(gate, "Trams and more"), model=TITLE_MODEL)
    session_id = say(titled, "Where?")  # The answer does not wait for its title.
    assert session(titled, session_id)["title"] == "Where?"
    gate.open()
    assert named(titled, session_id)["title"] == "Trams and more"
    say(titled, "And then?", session_id=session_id)
    assert [each.body["model"] for each in fake.received].count(TITLE_MODEL) == 1


def test_a_title_of_the_owner_is_not_replaced_unasked(
    titled: Installation, fake: FakeOpenRouter
) -> None:
    gate = Gate()
    fake.script(text("Lisbon."))
    fake.script(text(gate, "Trams"), model=TITLE_MODEL)
    session_id = say(titled, "Where?")
    gate.reached.wait_blocking()
    ask(titled, "PATCH", f"/api/sessions/{session_id}", json={"title": "Mine"})
    gate.open()
    [paid] = paid_titles(titled, session_id)
    assert paid["cost_microusd"] == 120
    assert session(titled, session_id)["title"] == "Mine"


def test_a_title_that_is_cut_off_leaves_the_first_words(
    titled: Installation, fake: FakeOpenRouter
) -> None:
    gate = Gate()
    fake.script(text("Lisbon."))
    fake.script(text(gate, "Trams"), model=TITLE_MODEL)
    session_id = say(titled, "Where?")
    gate.reached.wait_blocking()
    before = time.monotonic()
    titled.program.stop()
    assert time.monotonic() - before < 5
    titled.start()
    found = session(titled, session_id)
    assert (found["title"], found["title_source"]) == ("Where?", "first_words")


def test_a_title_that_fails_harms_nothing_and_is_told_on_request(
    titled: Installation, fake: FakeOpenRouter
) -> None:
    fake.script(text("Lisbon."))
    fake.script(Round(status=401), text("  "), model=TITLE_MODEL)
    session_id = say(titled, "Where?")
    answer = ask(titled, "POST", f"/api/sessions/{session_id}/title")
    assert answer.status_code == 502
    assert session(titled, session_id)["title"] == "Where?"
    assert ask(titled, "POST", "/api/sessions/ses_other/title").status_code == 404
