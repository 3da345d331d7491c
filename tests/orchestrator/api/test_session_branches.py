"""Branches through the real process: edit, answer again, switch, delete, search."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, Gate, running_fake
from tests.fakes.openrouter_rounds import Round, text
from tests.installation import Installation, running


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenRouter) -> Iterator[httpx2.Client]:
    folder = tmp_path_factory.mktemp("installation")
    with (
        running(Installation(folder, fake.base_url, SCRIPT_MODEL)) as installation,
        httpx2.Client(
            base_url=installation.url, headers=installation.bearer, timeout=10, trust_env=False
        ) as client,
    ):
        yield client


def started(answer: httpx2.Response) -> dict[str, Any]:
    """Return the first event of the turn, once it has ended."""
    assert answer.status_code == 200, answer.text
    data = next(line for line in answer.text.splitlines() if line.startswith("data: "))
    return json.loads(data.removeprefix("data: "))


def say(http: httpx2.Client, message: str, **more: Any) -> dict[str, Any]:
    return started(http.post("/api/chat/stream", json={"message": message, **more}))


def edit(http: httpx2.Client, first: dict[str, Any], **body: Any) -> httpx2.Response:
    path = f"/api/sessions/{first['session_id']}/messages/{first['user_message_id']}/edit"
    return http.post(path, json=body)


def again(http: httpx2.Client, turn: dict[str, Any], **body: Any) -> httpx2.Response:
    return http.post(f"/api/chat/turns/{turn['turn_id']}/regenerate", json=body)


def items(http: httpx2.Client, session_id: str) -> list[dict[str, Any]]:
    return http.get(f"/api/sessions/{session_id}/messages").json()["items"]


def shown(http: httpx2.Client, session_id: str) -> list[str]:
    return [message["content"] for message in items(http, session_id)]


def sent(fake: FakeOpenRouter) -> list[str]:
    messages = fake.received[-1].messages
    return [message["content"] for message in messages if message["role"] != "system"]


def test_an_edited_message_stands_beside_the_old_one(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("A1"), text("A2"), text("A2b"))
    first = say(http, "Q1")
    session_id = first["session_id"]
    second = say(http, "Q2", session_id=session_id)
    body = {"message": "Q2b", "client_message_id": "edit-1"}
    edited = started(edit(http, second, **body))
    assert sent(fake) == ["Q1", "A1", "Q2b"]
    assert started(edit(http, second, **body)) == edited
    assert shown(http, session_id) == ["Q1", "A1", "Q2b", "A2b"]
    versions = [second["user_message_id"], edited["user_message_id"]]
    assert items(http, session_id)[2]["siblings"] == versions
    path = f"/api/sessions/{session_id}/branch"
    session = http.put(path, json={"message_id": versions[0]}).json()
    assert session["leaf_message_id"] == second["assistant_message_id"]
    assert shown(http, session_id) == ["Q1", "A1", "Q2", "A2"]


def test_the_first_message_can_be_edited_and_keeps_its_files(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    upload = http.post("/api/uploads", files={"file": ("figs.txt", b"figs and dates")})
    attachment_id = upload.json()["items"][0]["id"]
    fake.script(text("one"), text("two"), text("three"))
    first = say(http, "Read", attachment_ids=[attachment_id])
    started(edit(http, first, message="Read twice"))
    assert "figs and dates" in sent(fake)[0]
    question = items(http, first["session_id"])[0]
    assert [file["id"] for file in question["attachments"]] == [attachment_id]
    started(edit(http, first, message="Read nothing", attachment_ids=[]))
    assert sent(fake) == ["Read nothing"]
    refused = edit(http, first, message=" ", attachment_ids=[])
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    # A file that another version shows stays when one is deleted.
    path = f"/api/sessions/{first['session_id']}/messages/{first['user_message_id']}"
    assert http.delete(path).status_code == 204
    assert http.get(f"/api/attachments/{attachment_id}").status_code == 200
    assert http.delete(path.replace(first["user_message_id"], question["id"])).status_code == 204
    assert http.get(f"/api/attachments/{attachment_id}").status_code == 404


def test_another_answer_stands_beside_the_first_under_the_same_message(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("A"))
    fake.script(text("B"), model="fake/other")
    first = say(http, "Q")
    session_id = first["session_id"]
    body = {"settings": {"model": "fake/other"}, "client_message_id": "again-1"}
    second = started(again(http, first, **body))
    assert second["user_message_id"] == first["user_message_id"]
    assert second["model"] == "fake/other"
    assert sent(fake) == ["Q"]
    assert started(again(http, first, **body)) == second
    assert shown(http, session_id) == ["Q", "B"]
    versions = [first["assistant_message_id"], second["assistant_message_id"]]
    assert items(http, session_id)[1]["siblings"] == versions
    assert http.delete(f"/api/sessions/{session_id}/messages/{versions[1]}").status_code == 204
    assert shown(http, session_id) == ["Q", "A"]
    assert http.get(f"/api/chat/turns/{second['turn_id']}").status_code == 404
    assert http.get(f"/api/chat/turns/{first['turn_id']}").status_code == 200


def test_an_answer_that_failed_before_its_first_word_is_told_and_tried_again(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("A"), Round(status=401), text("B"))
    first = say(http, "Q")
    failed = started(again(http, first))
    page = http.get(f"/api/sessions/{first['session_id']}/messages").json()
    assert [message["content"] for message in page["items"]] == ["Q"]
    assert {turn["id"]: turn["state"] for turn in page["turns"]}[failed["turn_id"]] == "failed"
    started(again(http, failed))
    assert shown(http, first["session_id"]) == ["Q", "B"]


def test_an_answer_that_was_continued_is_answered_anew_from_the_question(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("Half", finish_reason="length"), text(" of it."), text("Whole."))
    first = say(http, "Q")
    continued = started(http.post(f"/api/chat/turns/{first['turn_id']}/continue", json={}))
    started(again(http, continued))
    assert sent(fake) == ["Q"]
    assert shown(http, first["session_id"]) == ["Q", "Whole."]


def test_branches_stay_as_they_are_while_an_answer_is_written(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("A"))
    first = say(http, "Q")
    path = f"/api/sessions/{first['session_id']}"
    gate = Gate()
    fake.script(text("B", gate, "."))
    body = {"message": "Q2", "session_id": first["session_id"]}
    with http.stream("POST", "/api/chat/stream", json=body) as running_turn:
        lines = running_turn.iter_lines()
        while not next(lines).startswith("event: text_delta"):
            pass
        answers = [
            http.put(f"{path}/branch", json={"message_id": first["user_message_id"]}),
            http.delete(f"{path}/messages/{first['user_message_id']}"),
            edit(http, first, message="other"),
            again(http, first),
        ]
        gate.open()
        list(lines)
    assert [answer.status_code for answer in answers] == [409] * 4
    assert shown(http, first["session_id"]) == ["Q", "A", "Q2", "B."]


def test_what_is_not_there_or_not_the_owners_is_refused(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("A"))
    first = say(http, "Q")
    path = f"/api/sessions/{first['session_id']}"
    answer_id = first["assistant_message_id"]
    refused = http.post(f"{path}/messages/{answer_id}/edit", json={"message": "x"})
    assert refused.status_code == 409
    for answer in (
        http.post(f"{path}/messages/msg_other/edit", json={"message": "x"}),
        http.put(f"{path}/branch/", json={"message_id": "msg_other"}),
        http.delete(f"{path}/messages/msg_other"),
        http.post("/api/chat/turns/turn_other/regenerate", json={}),
        http.get("/api/search", params={"q": "x", "session_id": "ses_other"}),
    ):
        assert answer.status_code == 404
    unknown = again(http, first, settings={"model": "nowhere:model"})
    assert [error["field"] for error in unknown.json()["errors"]] == ["settings.model"]


def test_a_search_finds_text_on_every_branch(http: httpx2.Client, fake: FakeOpenRouter) -> None:
    fake.script(text("The **quetzal** sings."), text("Nothing."))
    first = say(http, "Which bird?")
    started(again(http, first))
    found = http.get("/api/search/", params={"q": "quetzal"}).json()
    [hit] = found["items"]
    assert hit["snippet"] == "The \x02quetzal\x03 sings."
    assert (hit["message_id"], hit["role"]) == (first["assistant_message_id"], "assistant")
    assert hit["session_title"] == "Which bird?"
    http.delete(f"/api/sessions/{first['session_id']}")
    assert http.get("/api/search", params={"q": "quetzal"}).json()["items"] == []
