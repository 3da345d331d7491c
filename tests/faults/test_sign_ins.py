"""A turn that waits for a sign-in, when the programs around it are killed."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.google import FakeGoogle
from tests.fakes.openrouter import running_fake
from tests.fakes.sign_in import ANNA, SignInServer, running_sign_in
from tests.gated_house import MODEL, GatedHouse, raw_call
from tests.installation import Installation, free_port, running

pytestmark = pytest.mark.fault

ERRAND = {"errand": "milk", "to": "bo@example.org"}


class SignInHouse(GatedHouse):
    """The house, with the server that works with accounts in it."""

    effects: SignInServer

    def questions(self) -> list[dict[str, str]]:
        """Return what waits for a sign-in."""
        return self.ask("GET", "/api/questions?state=pending").json()["items"]

    def state_of(self, turn_id: str) -> str:
        return self.ask("GET", f"/api/chat/turns/{turn_id}").json()["state"]


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with FakeGoogle() as fake:
        fake.person(ANNA)
        yield fake


@pytest.fixture
def house(tmp_path: Path, google: FakeGoogle) -> Iterator[SignInHouse]:
    port = free_port()
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with ExitStack() as stack:
        fake = stack.enter_context(running_fake())
        url = f"http://127.0.0.1:{port}"
        server = stack.enter_context(
            running_sign_in(data_dir, google, FLOTILLA_ORCHESTRATOR_URL=url)
        )
        config = {"id": server.name, "title": "Errands", "url": server.url, "trust": "fleet"}
        config |= {"token_file": f"tokens/{server.name}"}
        installation = Installation(tmp_path, fake.base_url, MODEL, [config], port=port)
        stack.enter_context(running(installation))
        house = SignInHouse(installation, server, fake)
        stack.enter_context(house._clients)
        house.wait_until_connected()
        yield house


def test_all_is_killed_between_question_and_sign_in_and_the_approved_call_runs_once(
    house: SignInHouse, google: FakeGoogle
) -> None:
    house.effects.sign_in("write")
    turn = house.say([("send_errand", ERRAND)])
    approval = turn.wait_for("approval_requested")
    google.oauth.revoke(ANNA)
    assert house.approve(approval["approval_id"]).status_code == 200
    asked = turn.wait_for("question_asked")
    house.installation.kill()
    house.effects.kill()
    turn.finish()
    house.effects.start()
    house.effects.sign_in("write")
    house.installation.start()
    house.wait_until(lambda: house.state_of(turn.turn_id) == "finished")
    assert [effect.arguments for effect in house.effects.effects()] == [ERRAND]
    assert house.questions() == []
    (question,) = house.ask("GET", "/api/questions").json()["items"]
    assert (question["id"], question["state"]) == (asked["question_id"], "done")
    assert [a["id"] for a in house.ask("GET", "/api/approvals").json()["items"]] == [
        approval["approval_id"]
    ]


def test_a_server_that_dies_at_the_sign_in_keeps_it_and_the_call_runs_once(
    house: SignInHouse,
) -> None:
    turn = house.say([("add_errand", {"errand": "milk"}), ("read_errand", {"errand": "milk"})])
    turn.wait_for("question_asked")
    house.effects.sign_in("write")
    house.effects.restart()
    turn.finish()
    assert [event["status"] for event in turn.all_of("tool_call_finished")] == ["done", "done"]
    assert [effect.tool for effect in house.effects.effects()] == ["add_errand"]


def test_the_page_lists_what_waits_and_can_decline_it(house: SignInHouse) -> None:
    turn = house.say([("read_errand", {"errand": "milk"})])
    asked = turn.wait_for("question_asked")
    (question,) = house.questions()
    assert {"id", "url", "title", "message", "expires_at"} <= question.keys()
    assert question["url"] == asked["url"]
    path = f"/api/questions/{question['id']}/decline"
    assert house.ask("POST", path).json()["state"] == "declined"
    assert house.ask("POST", path).status_code == 200
    turn.finish()
    (finished,) = turn.all_of("tool_call_finished")
    assert (finished["status"], finished["error"]) == ("denied", "You did not sign in.")
    assert house.ask("POST", "/api/questions/ques_none/decline").status_code == 404
    assert house.questions() == []


def test_a_question_goes_with_its_session(house: SignInHouse) -> None:
    turn = house.say([("read_errand", {"errand": "milk"})])
    turn.wait_for("question_asked")
    assert house.ask("DELETE", f"/api/sessions/{turn.session_id}").status_code == 204
    turn.finish()
    assert turn.all_of("question_answered")[0]["answer"] == "cancelled"
    assert house.ask("GET", "/api/questions").json()["items"] == []


def test_a_temporary_chat_waits_for_a_sign_in_like_any_other(house: SignInHouse) -> None:
    turn = house.say([("add_errand", {"errand": "milk"})], temporary=True)
    asked = turn.wait_for("question_asked")
    (question,) = house.questions()
    assert question["id"] == asked["question_id"]
    house.effects.sign_in("write")
    turn.finish()
    assert turn.all_of("question_answered")[0]["answer"] == "done"
    assert len(house.effects.effects()) == 1
    again = house.say([("delete_errand", {"errand": "eggs"})], temporary=True)
    approval = again.wait_for("approval_requested")
    assert house.approve(approval["approval_id"]).status_code == 200
    again.finish()
    assert [effect.tool for effect in house.effects.effects()] == ["add_errand", "delete_errand"]


def test_what_another_program_asks_for_shows_its_preview_in_the_inbox(house: SignInHouse) -> None:
    house.effects.sign_in("write")
    raw_call(house.effects, "plan_errand", {"errand": "milk"})
    house.wait_until(lambda: bool(house.pending()))
    (approval,) = house.pending()
    assert (approval["origin"], approval["client"] != "web chat") == ("client", True)
    assert "Fetch milk." in approval["preview"]["text"]
