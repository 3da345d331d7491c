"""Sessions go out as files and come in again, through the real process."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.fakes.mcp_servers import ServerProcess, toy_server
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, running_fake
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.installation import Installation, running

AT = "2026-11-20T10:30:00.000Z"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("toy") / "notes.txt") as toy:
        yield toy


@pytest.fixture(scope="module")
def http(
    tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenRouter, toy: ServerProcess
) -> Iterator[httpx2.Client]:
    servers = [{"id": "toy", "title": "Toy", "url": toy.url, "trust": "fleet"}]
    folder = tmp_path_factory.mktemp("installation")
    with (
        running(Installation(folder, fake.base_url, SCRIPT_MODEL, servers)) as installation,
        httpx2.Client(
            base_url=installation.url, headers=installation.bearer, timeout=10, trust_env=False
        ) as client,
    ):
        yield client


def say(http: httpx2.Client, message: str, **more: Any) -> dict[str, Any]:
    """Return the first event of the turn, once it has ended."""
    answer = http.post("/api/chat/stream", json={"message": message, **more})
    assert answer.status_code == 200, answer.text
    data = next(line for line in answer.text.splitlines() if line.startswith("data: "))
    return json.loads(data.removeprefix("data: "))


@pytest.fixture(scope="module")
def session_id(http: httpx2.Client, fake: FakeOpenRouter) -> str:
    """A chat of two branches, one with a tool call."""
    fake.script(
        text("Two.", reasoning=("Let me think.",)),
        calls(Call("toy__add", {"a": 2, "b": 3})),
        text("It is ```five```, `really`."),
        text("Or six."),
    )
    first = say(http, "How many # marks?\n\nTell *me*.")
    place = {"session_id": first["session_id"]}
    say(http, "And now?", **place)
    say(http, "Once more", parent_message_id=first["assistant_message_id"], **place)
    http.patch(f"/api/sessions/{first['session_id']}", json={"title": "Figs / dates: é"})
    return first["session_id"]


def exported(http: httpx2.Client, session_id: str) -> dict[str, Any]:
    return http.get(f"/api/sessions/{session_id}/export?format=json").json()


def normal(file: dict[str, Any]) -> dict[str, Any]:
    """Number the ids in the order in which they stand in the file."""
    written = json.dumps(file)
    ids: dict[str, str] = {}
    for key in [
        *(message["id"] for message in file["messages"]),
        *(turn["id"] for turn in file["turns"]),
        *(call["tool_call_id"] for message in file["messages"] for call in message["tool_calls"]),
    ]:
        ids.setdefault(key, f"id-{len(ids)}")
    for key, number in ids.items():
        written = written.replace(json.dumps(key), json.dumps(number))
    return json.loads(written)


def test_what_comes_in_goes_out_again_the_same_under_other_ids(
    http: httpx2.Client, session_id: str
) -> None:
    first = exported(http, session_id)
    imported = http.post("/api/sessions/import", json=first)
    assert imported.status_code == 201, imported.text
    second = exported(http, imported.json()["id"])
    assert normal(second) == normal(first)
    assert not {m["id"] for m in first["messages"]} & {m["id"] for m in second["messages"]}
    roles = [message["role"] for message in first["messages"]]
    assert roles == [
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    assert first["messages"][4]["tool_call"]["state"] == "done"
    shown = http.get(f"/api/sessions/{imported.json()['id']}/messages").json()["items"]
    assert all(message["imported"] for message in shown)
    assert [message["content"] for message in shown][-1] == "Or six."
    assert len(shown[2]["siblings"]) == 2


def test_an_imported_session_goes_on(
    http: httpx2.Client, session_id: str, fake: FakeOpenRouter
) -> None:
    imported = http.post("/api/sessions/import", json=exported(http, session_id)).json()
    fake.script(text("Seven."))
    say(http, "Go on", session_id=imported["id"])
    sent = [
        message["content"] for message in fake.received[-1].messages if message["role"] != "system"
    ]
    assert sent == ["How many # marks?\n\nTell *me*.", "Two.", "Once more", "Or six.", "Go on"]


def test_a_session_whose_answer_was_deleted_can_be_imported(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("Wrong."))
    first = say(http, "What is right?")
    path = f"/api/sessions/{first['session_id']}/messages/{first['assistant_message_id']}"
    assert http.delete(path).status_code == 204
    file = exported(http, first["session_id"])
    assert [message["turn_id"] for message in file["messages"]] == [None]
    assert http.post("/api/sessions/import", json=file).status_code == 201


def test_a_reply_to_an_answer_of_no_turn_stays_in_its_session(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    asked, answered = message(1), message(2, role="assistant", parent_id="m1", content="Mine.")
    file = file_of(asked, answered, session={"leaf_message_id": "m2"})
    first, _ = (http.post("/api/sessions/import", json=file).json()["id"] for _ in range(2))
    answer = http.get(f"/api/sessions/{first}/messages").json()["items"][1]
    fake.script(text("Yes."))
    say(http, "Is it?", session_id=first, parent_message_id=answer["id"])
    items = http.get(f"/api/sessions/{first}/messages").json()["items"]
    assert [item["content"] for item in items] == ["x", "Mine.", "Is it?", "Yes."]


def test_markdown_has_the_branch_that_is_shown_with_its_calls_folded(
    http: httpx2.Client, session_id: str
) -> None:
    other = exported(http, session_id)["messages"][5]["id"]
    assert (
        http.put(f"/api/sessions/{session_id}/branch", json={"message_id": other}).status_code
        == 200
    )
    answer = http.get(f"/api/sessions/{session_id}/export", params={"format": "markdown"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="Figs   dates: _.md"; '
        "filename*=UTF-8''Figs%20%20%20dates%3A%20%C3%A9.md"
    ).replace("   ", " ").replace("%20%20%20", "%20")
    document = answer.text
    assert document.startswith("# Figs / dates: é\n")
    assert "\n\nHow many # marks?\n\nTell *me*.\n\n" in document
    assert "<summary>toy__add: done</summary>" in document
    assert "Or six." not in document
    assert document.index("</details>") < document.index("It is ```five```")


def test_all_sessions_come_as_one_document(http: httpx2.Client, session_id: str) -> None:
    document = http.get("/api/sessions/export").json()
    assert (document["format"], document["version"]) == ("flotilla.sessions", 1)
    assert exported(http, session_id) in document["sessions"]
    assert len(document["sessions"]) == len(http.get("/api/sessions?limit=200").json()["items"])


def message(number: int, **fields: Any) -> dict[str, Any]:
    common = {"id": f"m{number}", "parent_id": None, "turn_id": None, "role": "user"}
    return {**common, "content": "x", "created_at": AT, **fields}


def file_of(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    session = {"title": "T", "created_at": AT, "updated_at": AT, **more.pop("session", {})}
    return {"format": "flotilla.session", "version": 1, "session": session,
            "messages": list(messages), **more}  # fmt: skip


CALL = {"tool_call_id": "c1", "tool": "a__b", "server": "a", "arguments": {}}
RESULT = {**CALL, "state": "done", "read_only": True}
TURN = {"id": "t1", "user_message_id": None, "assistant_message_id": "m1", "state": "finished",
        "model": "m", "created_at": AT}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "field"),
    [
        (file_of(message(1, parent_id="m2"), message(2, parent_id="m1")), "messages.0.parent_id"),
        (file_of(message(1, parent_id="m1")), "messages.0.parent_id"),
        (file_of(message(1), message(2, parent_id="msg_foreign")), "messages.1.parent_id"),
        (file_of(message(1), message(1)), "messages.1.id"),
        (file_of(message(1, turn_id="turn_foreign")), "messages.0.turn_id"),
        (file_of(message(1, role="system")), "messages.0.role"),
        (file_of(message(1, created_at="yesterday")), "messages.0.created_at"),
        (file_of(message(1, created_at="2026-02-30T10:30:00.000Z")), "messages.0.created_at"),
        (file_of(message(1, role="tool")), "messages.0.tool_call"),
        (
            file_of(message(1, role="tool", turn_id="t1", tool_call=RESULT), turns=[TURN]),
            "messages.0.tool_call.tool_call_id",
        ),
        (
            file_of(
                message(1, role="assistant", tool_calls=[CALL]),
                message(2, role="tool", turn_id="t1", tool_call=RESULT),
                message(3, role="tool", turn_id="t1", tool_call=RESULT),
                turns=[TURN],
            ),
            "messages.2.tool_call.tool_call_id",
        ),
        (
            file_of(message(1, role="assistant", tool_calls=[CALL, CALL])),
            "messages.0.tool_calls.1.tool_call_id",
        ),
        (file_of(message(1), session={"leaf_message_id": "m9"}), "session.leaf_message_id"),
        (file_of(message(1), turns=[{**TURN, "state": "running"}]), "turns.0.state"),
        (file_of(message(1), turns=[TURN, TURN]), "turns.1.id"),
        (file_of(message(1), turns=[{**TURN, "user_message_id": "m7"}]), "turns.0.user_message_id"),
        (file_of(message(1), version=2), "version"),
        (file_of(message(1), owner_id="own_other"), "owner_id"),
        (file_of(message(1, content="half \ud800")), "body"),
        ({**file_of(message(1)), "session": {}}, "session.title"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_hang_together_is_refused_by_field(
    http: httpx2.Client, file: dict[str, Any], field: str
) -> None:
    before = http.get("/api/sessions?limit=200").json()
    body = json.dumps(file).encode()
    answer = http.post(
        "/api/sessions/import", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert http.get("/api/sessions?limit=200").json() == before


@pytest.mark.parametrize(
    "structured", ["NaN", '"\\ud800"', "[" * 100_000 + "]" * 100_000, "Infinity"]
)
def test_json_that_nobody_could_write_again_is_refused(
    http: httpx2.Client, structured: str
) -> None:
    result = {**RESULT, "structured": "HERE"}
    asking = message(1, role="assistant", turn_id="t1", tool_calls=[CALL])
    answering = message(2, role="tool", parent_id="m1", turn_id="t1", tool_call=result)
    body = json.dumps(file_of(asking, answering, turns=[TURN])).replace('"HERE"', structured)
    answer = http.post(
        "/api/sessions/import", content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422), answer.text


def test_a_file_above_the_limit_is_refused_unread(http: httpx2.Client) -> None:
    body = b" " * (16 * 1024 * 1024 + 1)
    answer = http.post(
        "/api/sessions/import", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
