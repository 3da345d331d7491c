"""The chat routes over real sockets against the real process."""

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.fakes.mcp_servers import ServerProcess, toy_server
from tests.fakes.mcp_toy_server import ONE_PIXEL_PNG
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, Gate, running_fake
from tests.fakes.openrouter_rounds import Call, calls, text
from tests.installation import Installation, running


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("toy") / "notes.txt") as toy:
        yield toy


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenRouter, toy: ServerProcess
) -> Iterator[Installation]:
    servers = [{"id": "toy", "title": "Toy", "url": toy.url, "trust": "fleet"}]
    folder = tmp_path_factory.mktemp("installation")
    more = {"MAX_MESSAGE_CHARS": "1000"}
    with running(Installation(folder, fake.base_url, SCRIPT_MODEL, servers, more)) as installation:
        yield installation


@pytest.fixture
def http(installation: Installation) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=installation.url, headers=installation.bearer, timeout=10, trust_env=False
    ) as client:
        yield client


def frames(body: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (id, event, data) of each frame."""
    found = []
    for frame in body.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if line[:1] != ":")
        if fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def say(http: httpx2.Client, message: str, **more: Any) -> httpx2.Response:
    return http.post("/api/chat/stream", json={"message": message, **more})


def test_an_answer_comes_as_numbered_events_of_the_contract(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("Hello ", "there."))
    response = say(http, "Hi")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"
    seen = frames(response.text)
    turn_id = response.headers["x-turn-id"]
    assert [name for name, _, _ in seen] == [f"{turn_id}:{n}" for n in range(1, len(seen) + 1)]
    assert all(kind == data["type"] for _, kind, data in seen)
    assert "".join(data["text"] for _, kind, data in seen if kind == "text_delta") == "Hello there."


def test_a_stream_is_resumed_after_the_last_event_seen(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("Whole."))
    response = say(http, "Hi")
    turn_id = response.headers["x-turn-id"]
    all_frames = frames(response.text)
    by_header = http.get(
        f"/api/chat/turns/{turn_id}/events", headers={"Last-Event-ID": all_frames[1][0]}
    )
    by_query = http.get(f"/api/chat/turns/{turn_id}/events?after=2")
    assert frames(by_header.text) == frames(by_query.text) == all_frames[2:]
    ahead = http.get(f"/api/chat/turns/{turn_id}/events?after=99")
    assert (ahead.status_code, ahead.json()["code"]) == (409, "event_log_behind")
    foreign = http.get(
        f"/api/chat/turns/{turn_id}/events", headers={"Last-Event-ID": "turn_other:1"}
    )
    assert foreign.status_code == 409


def test_stop_from_another_connection_ends_the_tool_and_the_stream(
    http: httpx2.Client, fake: FakeOpenRouter, toy: ServerProcess
) -> None:
    fake.script(calls(Call("toy__slow", {"seconds": 30})))
    with http.stream("POST", "/api/chat/stream", json={"message": "Slow"}) as response:
        turn_id = response.headers["x-turn-id"]
        lines = response.iter_lines()
        while next(lines) != "event: tool_call_progress":
            pass
        stopped = http.post(f"/api/chat/turns/{turn_id}/cancel")
        rest = list(lines)
    assert stopped.json()["state"] == "cancelled"
    assert [line for line in rest if line.startswith("event: ")][-1] == "event: turn_finished"
    for _ in range(200):
        if "slow cancelled" in toy.journal_lines():
            break
        threading.Event().wait(0.01)
    assert "slow cancelled" in toy.journal_lines()


def test_two_tabs_follow_the_same_turn(http: httpx2.Client, fake: FakeOpenRouter) -> None:
    gate = Gate()
    fake.script(text("First, ", gate, "second."))
    with http.stream("POST", "/api/chat/stream", json={"message": "Go"}) as one:
        turn_id = one.headers["x-turn-id"]
        gate.reached.wait_blocking()
        with http.stream("GET", f"/api/chat/turns/{turn_id}/events") as two:
            gate.open()
            bodies = [b"".join(stream.iter_raw()).decode() for stream in (one, two)]
    assert frames(bodies[0]) == frames(bodies[1])


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"message": ""}, 422, "message"),
        ({"message": "  \n"}, 422, "message"),
        ({"message": 7}, 422, "message"),
        ({}, 422, "message"),
        ({"message": "x", "unknown": 1}, 422, "unknown"),
        ({"message": "x", "settings": {"temperature": 9}}, 422, "settings.temperature"),
        ({"message": "x" * 1001}, 413, None),
        ({"message": "x", "session_id": "ses_none"}, 404, None),
        ({"message": "x", "parent_message_id": "msg_none"}, 404, None),
        ({"message": "x", "attachment_ids": ["att_none"]}, 404, None),
        ({"message": "", "attachment_ids": ["att_none"]}, 404, None),
        ({"message": "x", "attachment_ids": ["att_none"] * 21}, 422, "attachment_ids"),
        ({"message": "\ud800"}, 422, "message"),
    ],
)
def test_a_wrong_request_is_told_which_field(
    http: httpx2.Client, body: dict[str, Any], status: int, field: str | None
) -> None:
    answer = http.post(
        "/api/chat/stream",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    problem = answer.json()
    assert answer.status_code == status, problem
    assert answer.headers["content-type"] == "application/problem+json"
    if field:
        assert [error["field"] for error in problem["errors"]] == [field]


def test_an_uploaded_file_goes_along_with_a_message(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(text("A pixel."))
    files = {"file": ("pixel.png", ONE_PIXEL_PNG, "image/png")}
    uploaded = http.post("/api/uploads", files=files).json()["items"][0]
    answer = say(http, "", attachment_ids=[uploaded["id"]])
    assert answer.status_code == 200
    url = fake.received[-1].messages[-1]["content"][1]["image_url"]["url"]
    assert url == f"data:image/png;base64,{base64.b64encode(ONE_PIXEL_PNG).decode()}"
    session = http.get("/api/sessions").json()["items"][0]
    messages = f"/api/sessions/{session['id']}/messages"
    (shown,) = http.get(messages).json()["items"][0]["attachments"]
    assert shown.pop("expires_at") >= uploaded["expires_at"]
    assert shown == {
        "id": uploaded["id"],
        "name": "pixel.png",
        "mime": "image/png",
        "size_bytes": len(ONE_PIXEL_PNG),
        "width": 1,
        "height": 1,
        "deleted": False,
    }
    for pinned in (True, False):
        http.patch(f"/api/sessions/{session['id']}", json={"pinned": pinned}).raise_for_status()
        (shown,) = http.get(messages).json()["items"][0]["attachments"]
        assert (shown["expires_at"] is None) == pinned


def test_a_busy_session_refuses_a_second_message(http: httpx2.Client, fake: FakeOpenRouter) -> None:
    gate = Gate()
    fake.script(text("Working ", gate, "done."))
    with http.stream("POST", "/api/chat/stream", json={"message": "Go"}) as stream:
        gate.reached.wait_blocking()
        listed = http.get("/api/sessions").json()["items"][0]
        assert listed["running_turn_id"] == stream.headers["x-turn-id"]
        second = say(http, "And?", session_id=listed["id"])
        assert (second.status_code, second.json()["code"]) == (409, "conflict")
        gate.open()
        stream.read()


def test_sessions_are_listed_searched_renamed_read_and_deleted(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    fake.script(calls(Call("toy__add", {"a": 2, "b": 2})), text("Four, says the abacus."))
    say(http, "What is 2 + 2 in marbles?")
    found = http.get("/api/sessions", params={"q": "abacus"}).json()["items"]
    assert [session["title"] for session in found] == ["What is 2 + 2 in marbles?"]
    path = f"/api/sessions/{found[0]['id']}"
    page = http.get(path + "/messages").json()
    roles = [message["role"] for message in page["items"]]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert page["items"][2]["tool_call"]["structured"] == {"total": 4.0}
    assert page["turns"][0]["state"] == "finished"
    assert "reasoning_details" not in page["items"][1]
    assert (
        http.patch(path, json={"title": " Marbles ", "pinned": True}).json()["title"] == "Marbles"
    )
    assert http.get("/api/sessions/").json()["items"][0]["title"] == "Marbles"
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404
    assert http.delete(path).status_code == 404


def test_deleting_a_session_stops_what_runs_in_it(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    gate = Gate()
    fake.script(text("Never ", gate, "ends."))
    with http.stream("POST", "/api/chat/stream", json={"message": "Go"}) as stream:
        gate.reached.wait_blocking()
        session_id = http.get("/api/sessions").json()["items"][0]["id"]
        assert http.delete(f"/api/sessions/{session_id}").status_code == 204
        assert "turn_finished" in stream.read().decode()
    assert fake.received[-1].hung_up.is_set()


def test_the_fleet_the_model_the_health_and_the_figures_can_be_read(http: httpx2.Client) -> None:
    servers = http.get("/api/mcp/servers").json()["items"]
    assert [(server["id"], server["state"]) for server in servers] == [("toy", "ready")]
    model = http.get("/api/settings/model").json()
    assert (model["model"], model["practice"]) == (SCRIPT_MODEL, False)
    assert http.get("/health").json()["status"] == "ok"
    assert 'flotilla_server_ready{server="toy",state="ready"} 1.0' in http.get("/metrics").text


def test_a_failing_upstream_ends_the_turn_with_plain_words(
    http: httpx2.Client, fake: FakeOpenRouter
) -> None:
    answer = say(http, "Hi", settings={"model": "fake/402"})
    _, kind, data = frames(answer.text)[-1]
    assert (kind, data["code"], data["retryable"]) == (
        "turn_failed",
        "model_payment_required",
        False,
    )
