"""Temporary sessions through the real process: nothing of them is ever on the disk."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes.mcp_servers import ServerProcess, toy_server
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, Gate, running_fake
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.installation import Installation, running

CANARY = "zugzwang-7f3a91"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("toy") / "notes.txt", "--with-files") as toy:
        yield toy


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenRouter, toy: ServerProcess
) -> Iterator[Installation]:
    servers = [{"id": "toy", "title": "Toy", "url": toy.url, "trust": "fleet"}]
    folder = tmp_path_factory.mktemp("installation")
    with running(Installation(folder, fake.base_url, SCRIPT_MODEL, servers)) as installation:
        yield installation


@pytest.fixture
def http(installation: Installation) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=installation.url, headers=installation.bearer, timeout=10, trust_env=False
    ) as client:
        yield client


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    lines = answer.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def say(http: httpx2.Client, message: str, **more: Any) -> list[dict[str, Any]]:
    return events(http.post("/api/chat/stream", json={"message": message, **more}))


def files_with(folder: Path, words: str) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and words.encode() in path.read_bytes()
    ]


def test_a_temporary_chat_works_like_any_other_and_leaves_no_trace(
    http: httpx2.Client, fake: FakeOpenRouter, installation: Installation
) -> None:
    gate = Gate()
    fake.script(
        text(f"A {CANARY} ", gate, "is this."),
        calls(Call("toy__write_note", {"text": CANARY})),
        text(f"Written: {CANARY}"),
        text("Again."),
    )
    spent = http.get("/api/usage").json()
    body = {"message": f"What is {CANARY}?", "temporary": True}
    with http.stream("POST", "/api/chat/stream", json=body) as streaming:
        lines = streaming.iter_lines()
        while not next(lines).startswith("event: text_delta"):
            pass
        assert files_with(installation.folder, CANARY) == []
        gate.open()
        list(lines)
        turn_id = streaming.headers["x-turn-id"]
    first = events(http.get(f"/api/chat/turns/{turn_id}/events"))[0]
    session_id = first["session_id"]
    path = f"/api/sessions/{session_id}"

    with http.stream(
        "POST", "/api/chat/stream", json={"message": "Note it", "session_id": session_id}
    ) as streaming:
        lines = streaming.iter_lines()
        asked = next(
            json.loads(line[6:])
            for line in lines
            if "approval_requested" in line and line.startswith("data: ")
        )
        pending = http.get("/api/approvals?state=pending").json()["items"]
        assert [approval["id"] for approval in pending] == [asked["approval_id"]]
        approval = f"/api/approvals/{asked['approval_id']}"
        assert http.get(approval).json()["session_id"] == session_id
        assert http.post(f"{approval}/approve", json={}).status_code == 200
        list(lines)

    again = events(http.post(f"/api/chat/turns/{turn_id}/regenerate", json={}))
    assert again[-1]["type"] == "turn_finished"
    shown = http.get(f"{path}/messages").json()
    assert [message["content"] for message in shown["items"]] == [f"What is {CANARY}?", "Again."]
    assert shown["items"][1]["siblings"][0] == first["assistant_message_id"]

    assert http.get("/api/sessions").json()["items"] == []
    assert http.get("/api/search", params={"q": CANARY}).json()["items"] == []
    assert http.get(f"{path}/export").status_code == 404
    assert CANARY not in http.get("/api/sessions/export").text
    assert http.get("/api/usage").json() != spent

    assert http.delete(path).status_code == 204
    assert http.get(f"{path}/messages").status_code == 404
    assert files_with(installation.folder, CANARY) == []


def test_a_temporary_chat_takes_no_files_and_begins_as_one(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    upload = http.post("/api/uploads", files={"file": ("figs.txt", b"figs")})
    attachment_id = upload.json()["items"][0]["id"]
    body = {"message": "Read", "attachment_ids": [attachment_id], "temporary": True}
    refused = http.post("/api/chat/stream", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    fake.script(text("Hello."))
    stored = say(http, "Hello")[0]["session_id"]
    body = {"message": "Hide", "session_id": stored, "temporary": True}
    assert http.post("/api/chat/stream", json=body).status_code == 409


def test_what_tools_return_as_files_is_not_kept_in_a_temporary_chat(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    before = http.get("/api/attachments").json()["items"]
    fake.script(calls(Call("toy__image"), Call("toy__big", {"size": 200_000})), text("Seen."))
    seen = say(http, "Draw", temporary=True)
    results = [event for event in seen if event["type"] == "tool_call_finished"]
    assert [result["status"] for result in results] == ["done", "done"]
    told = ["A temporary chat takes and keeps no files" in result["text"] for result in results]
    assert told == [True, False]  # The model reads the beginning of a text that is too long.
    assert http.get("/api/attachments").json()["items"] == before


def test_a_temporary_chat_is_gone_with_the_process(
    http: httpx2.Client, fake: FakeOpenRouter, installation: Installation
) -> None:
    fake.script(text(CANARY))
    session_id = say(http, CANARY, temporary=True)[0]["session_id"]
    assert http.get(f"/api/sessions/{session_id}").json()["temporary"] is True
    installation.program.stop()
    assert files_with(installation.folder, CANARY) == []
    installation.start()
    assert http.get(f"/api/sessions/{session_id}").status_code == 404
