"""The routes of model settings over real sockets against the real process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, Received, running_fake
from tests.fakes.openrouter_rounds import text
from tests.installation import Installation, running

MODEL = "/api/settings/model"
PROMPT = "/api/settings/system-prompt"
ENDPOINTS = "/api/settings/endpoints"
EVERYTHING: dict[str, Any] = {
    "model": "fake/request",
    "fallback_models": ["openai/gpt-5-mini", "ollama:qwen3:8b"],
    "parameters": {"temperature": 0.3, "stop": ["END"], "reasoning": {"effort": "low"}},
    "provider": {"sort": "price", "max_price": {"completion": "2.5"}},
    "roles": {"title": "small/one"},
}
TITLES = {"title": "fake/text"}
"""So that no title takes a round that a test has scripted for an answer."""
OLLAMA = {"title": "Ollama", "base_url": "http://127.0.0.1:11434/v1"}


@dataclass
class House:
    """One installation and a client that is signed in."""

    installation: Installation
    http: httpx2.Client

    @property
    def document(self) -> dict[str, Any]:
        return json.loads((self.installation.data_dir / "model_settings.json").read_text())

    def refused(self, method: str, path: str, body: Any) -> list[str]:
        """The fields that a 422 names."""
        # Escaped: half characters can be written so, and only so.
        content, headers = json.dumps(body), {"Content-Type": "application/json"}
        answer = self.http.request(method, path, content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
        return [error["field"] for error in answer.json()["errors"]]

    def say(self, message: str, **more: Any) -> dict[str, str]:
        """Send a message; return the last event of each type, once the turn has ended."""
        answer = self.http.post("/api/chat/stream", json={"message": message, **more})
        assert answer.status_code == 200, answer.text
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        return {event["type"]: event for event in map(json.loads, lines)}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture(scope="module")
def open_house(
    tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenRouter
) -> Iterator[Installation]:
    """The environment names no model here."""
    folder = tmp_path_factory.mktemp("open")
    with running(Installation(folder, fake.base_url, "")) as installation:
        yield installation


@pytest.fixture
def house(open_house: Installation, fake: FakeOpenRouter) -> Iterator[House]:
    """As it was before anybody set anything."""
    fake.forget_scripts()
    with client_of(open_house) as http:
        assert http.put(MODEL, json={}).status_code == 200
        assert http.put(ENDPOINTS, json={"endpoints": {}}).status_code == 200
        assert http.put(PROMPT, json={"system_prompt": None}).status_code == 200
        yield House(open_house, http)


def asked(fake: FakeOpenRouter, message: str) -> Received:
    """The last request for an answer to `message`; those for titles come when they like."""
    return next(r for r in reversed(fake.received) if r.messages[-1]["content"] == message)


def client_of(installation: Installation) -> httpx2.Client:
    return httpx2.Client(
        base_url=installation.url, headers=installation.bearer, timeout=10, trust_env=False
    )


def set_fields(answer: dict[str, Any]) -> dict[str, Any]:
    """The part of an answer that can be set, without what is null."""
    return {name: without_null(answer[name]) for name in EVERYTHING}


def without_null(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: without_null(inner) for name, inner in value.items() if inner is not None}


def test_what_is_put_is_answered_stored_and_used_by_the_next_turn(
    house: House, fake: FakeOpenRouter
) -> None:
    assert house.http.put(f"{ENDPOINTS}/ollama", json=OLLAMA).status_code == 200
    answer = house.http.put(MODEL, json=EVERYTHING)
    assert answer.status_code == 200
    assert set_fields(answer.json()) == EVERYTHING
    assert house.http.get(MODEL).json() == answer.json()
    assert answer.json()["layers"]["provider.sort"] == "data/model_settings.json"
    assert (answer.json()["overridden"], answer.json()["practice"]) == ({}, False)
    assert without_null({name: house.document[name] for name in EVERYTHING}) == EVERYTHING
    assert house.say("Put.")["turn_started"]["model"] == "fake/request"
    body = asked(fake, "Put.").body
    assert (body["temperature"], body["stop"]) == (0.3, ["END"])
    assert body["provider"] == {"sort": "price", "max_price": {"completion": 2.5}}


def test_put_replaces_all_and_patch_only_what_it_names(house: House) -> None:
    body = {**EVERYTHING, "fallback_models": ["openai/gpt-5-mini"]}
    house.http.put(MODEL, json=body)
    change = {
        "fallback_models": None,
        "parameters": {"temperature": None, "reasoning": {"max_tokens": 2000}},
        "provider": {"zdr": True},
    }
    changed = house.http.patch(MODEL, json=change).json()
    assert set_fields(changed) == {
        "model": "fake/request",
        "fallback_models": [],
        "parameters": {"stop": ["END"], "reasoning": {"max_tokens": 2000}},
        "provider": {"sort": "price", "max_price": {"completion": "2.5"}, "zdr": True},
        "roles": {"title": "small/one"},
    }
    emptied = house.http.patch(MODEL, json={"parameters": None, "roles": None}).json()
    assert (set_fields(emptied)["parameters"], set_fields(emptied)["roles"]) == ({}, {})
    replaced = house.http.put(f"{MODEL}/", json={"model": "other/one"}).json()
    assert set_fields(replaced) == {
        "model": "other/one",
        "fallback_models": [],
        "parameters": {},
        "provider": {},
        "roles": {},
    }
    assert house.http.patch(MODEL, json={"model": None}).json()["model"] == "openrouter/auto"


def test_a_wrong_field_is_named_and_nothing_changes(house: House) -> None:
    before = house.http.put(MODEL, json={"model": "some/model"}).json()
    wrong: dict[str, Any] = {
        "parameters.temperature": {"parameters": {"temperature": 2.5}},
        "parameters.warmth": {"parameters": {"warmth": 1}},
        "provider.sort": {"provider": {"sort": "cheap"}},
        "parameters.stop.0": {"parameters": {"stop": ["\ud800"]}},
        "parameters.response_format": {"parameters": {"response_format": {"a": ["\ud800"]}}},
        "roles.cook": {"roles": {"cook": "a/b"}},
        "system_prompt": {"system_prompt": "no"},
        "model": {"model": "nowhere:model"},
        "fallback_models.1": {"fallback_models": ["a/b:free", "llama3:8b"]},
        "roles.title": {"roles": {"title": "nowhere:small"}},
    }
    for field, body in wrong.items():
        for method in ("PUT", "PATCH"):
            assert house.refused(method, MODEL, body) == [field]
    assert house.http.get(MODEL).json() == before
    message = house.http.put(MODEL, json={"model": "nowhere:model"}).json()["errors"][0]["message"]
    assert "openrouter" in message


def test_what_the_model_does_not_take_is_reported(house: House) -> None:
    house.http.post("/api/models/refresh", json={})
    body = {"model": SCRIPT_MODEL, "parameters": {"temperature": 1, "top_k": 5, "min_p": 0.1}}
    assert house.http.put(MODEL, json=body).json()["unsupported"] == ["top_k", "min_p"]
    assert house.http.patch(MODEL, json={"model": "not/listed"}).json()["unsupported"] == []


def test_the_environment_beats_the_document_and_the_answer_says_so(
    tmp_path: Path, fake: FakeOpenRouter
) -> None:
    environment = {
        "OPENROUTER_FALLBACK_MODELS": "by/environment",
        "OPENROUTER_SYSTEM_PROMPT": "By the environment.",
    }
    installation = Installation(tmp_path, fake.base_url, "flotilla/practice", more=environment)
    with running(installation), client_of(installation) as http:
        untouched = http.get(MODEL).json()
        assert (untouched["model"], untouched["practice"]) == ("flotilla/practice", True)
        assert (untouched["overridden"], untouched["updated_at"]) == ({}, None)
        answer = http.put(MODEL, json={"model": "by/document", "fallback_models": []}).json()
        assert (answer["model"], answer["fallback_models"]) == (
            "flotilla/practice",
            ["by/environment"],
        )
        assert answer["overridden"] == {
            "model": "OPENROUTER_DEFAULT_MODEL in the environment",
            "fallback_models": "OPENROUTER_FALLBACK_MODELS in the environment",
        }
        assert answer["layers"] == {"model": "environment", "fallback_models": "environment"}
        assert answer["updated_at"] is not None
        assert http.put(PROMPT, json={"system_prompt": "By the document."}).json() == {
            "system_prompt": "By the environment.",
            "overridden": {"system_prompt": "OPENROUTER_SYSTEM_PROMPT in the environment"},
        }


def test_the_system_prompt_of_the_owner_heads_the_next_turn(
    house: House, fake: FakeOpenRouter
) -> None:
    fake.script(text("Olá."), text("Hi."))
    house.http.put(MODEL, json={"model": SCRIPT_MODEL, "roles": TITLES})
    put = house.http.put(f"{PROMPT}/", json={"system_prompt": "Answer in Portuguese."})
    assert put.json() == {"system_prompt": "Answer in Portuguese.", "overridden": {}}
    house.say("First.")
    assert "Answer in Portuguese." in asked(fake, "First.").messages[0]["content"]
    assert house.http.put(PROMPT, json={"system_prompt": " \n"}).json()["system_prompt"] is None
    house.say("Second.")
    assert "Answer in Portuguese." not in asked(fake, "Second.").messages[0]["content"]
    assert house.refused("PUT", PROMPT, {}) == ["system_prompt"]
    assert house.refused("PUT", PROMPT, {"system_prompt": "\ud800"}) == ["system_prompt"]


def test_endpoints_are_named_replaced_and_kept_while_in_use(house: House) -> None:
    keyed = {"base_url": "https://api.example.com/v1/", "api_key_env": "SOME_VENDORS_KEY"}
    put = house.http.put(f"{ENDPOINTS}/", json={"endpoints": {"ollama": OLLAMA, "vendor": keyed}})
    found = put.json()["endpoints"]
    assert (found["ollama"]["key_found"], found["vendor"]["key_found"]) == (None, False)
    assert found["vendor"]["base_url"] == "https://api.example.com/v1"
    assert house.http.get(ENDPOINTS).json() == put.json()
    house.http.put("/api/secrets/vendor.key", json={"value": "sk-very-secret"})
    stored = {"base_url": "https://api.example.com/v1", "api_key_secret": "vendor.key"}
    answer = house.http.put(f"{ENDPOINTS}/vendor", json=stored)
    assert answer.json()["key_found"] is True
    assert "sk-very-secret" not in answer.text + json.dumps(house.document)
    assert house.http.put(MODEL, json={"model": "ollama:qwen3:8b"}).status_code == 200
    in_use = house.http.delete(f"{ENDPOINTS}/ollama")
    assert (in_use.status_code, in_use.json()["code"]) == (409, "conflict")
    assert "ollama:qwen3:8b" in in_use.json()["detail"]
    assert house.http.put(ENDPOINTS, json={"endpoints": {}}).status_code == 409
    assert house.http.delete(f"{ENDPOINTS}/vendor").status_code == 204
    assert house.http.delete(f"{ENDPOINTS}/vendor").status_code == 404
    assert [*house.document["endpoints"]] == ["ollama"]


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("openrouter", {}, "name"),
        ("Big", {}, "name"),
        ("fine", {"base_url": "ftp://x"}, "base_url"),
        ("fine", {"base_url": "https://user:pass@x"}, "base_url"),
        ("fine", {"api_key_env": "OPENROUTER_API_KEY"}, "api_key_env"),
        ("fine", {"api_key_env": "FLOTILLA_SERVER_TOKEN"}, "api_key_env"),
        ("fine", {"api_key_secret": "mcp.weather"}, "api_key_secret"),
        ("fine", {"api_key": "sk-1"}, "api_key"),
    ],
)
def test_what_would_take_over_our_names_or_give_away_our_keys_is_refused(
    house: House, name: str, fields: dict[str, str], field: str
) -> None:
    body = {**OLLAMA, **fields}
    assert house.refused("PUT", f"{ENDPOINTS}/{name}", body) == [field]
    inner = house.refused("PUT", ENDPOINTS, {"endpoints": {name: body}})
    assert inner[0].startswith(f"endpoints.{name}")
    assert house.http.get(ENDPOINTS).json() == {"endpoints": {}}


def test_endpoints_have_an_end(house: House) -> None:
    full = {f"e{number}": OLLAMA for number in range(50)}
    assert house.refused("PUT", ENDPOINTS, {"endpoints": {**full, "more": OLLAMA}}) == ["endpoints"]
    assert house.http.put(ENDPOINTS, json={"endpoints": full}).status_code == 200
    assert house.http.put(f"{ENDPOINTS}/more", json=OLLAMA).status_code == 409
    assert house.http.put(ENDPOINTS, json={"endpoints": {}}).status_code == 200


def test_session_settings_and_those_of_a_turn_are_checked_and_kept(
    house: House, fake: FakeOpenRouter
) -> None:
    standing = {"model": SCRIPT_MODEL, "parameters": {"temperature": 0.1}, "roles": TITLES}
    house.http.put(MODEL, json=standing)
    fake.script(text("One."))
    session = f"/api/sessions/{house.say('Hi')['turn_started']['session_id']}"
    settings = {"model": "fake/request", "parameters": {"temperature": 0.5}}
    changed = house.http.patch(session, json={"settings": settings}).json()
    assert changed["settings"]["parameters"]["temperature"] == 0.5
    own = {"parameters": {"top_k": 3}, "provider": {"sort": "latency"}}
    house.say("Again.", session_id=session.rpartition("/")[2], settings=own)
    body = asked(fake, "Again.").body
    names = ("model", "temperature", "top_k", "provider")
    assert [body[name] for name in names] == ["fake/request", 0.5, 3, {"sort": "latency"}]
    replaced = house.http.patch(session, json={"settings": {"disabled_servers": ["web"]}}).json()
    assert (replaced["settings"]["model"], replaced["settings"]["disabled_servers"]) == (
        None,
        ["web"],
    )
    nowhere = {"settings": {"model": "nowhere:x"}}
    assert house.refused("PATCH", session, nowhere) == ["settings.model"]
    assert house.refused("POST", "/api/chat/stream", {"message": "Hi", **nowhere}) == [
        "settings.model"
    ]
    assert house.refused("PATCH", session, {"settings": {"temperature": 1}}) == [
        "settings.temperature"
    ]


def test_settings_survive_a_kill(tmp_path: Path, fake: FakeOpenRouter) -> None:
    installation = Installation(tmp_path, fake.base_url, "")
    with running(installation):
        with client_of(installation) as http:
            session = House(installation, http).say("Hi", settings={"model": "fake/text"})
            path = f"/api/sessions/{session['turn_started']['session_id']}"
            settled = http.patch(path, json={"settings": {"parameters": {"top_p": 0.5}}}).json()
            http.put(ENDPOINTS, json={"endpoints": {"ollama": OLLAMA}})
            before = http.put(MODEL, json=EVERYTHING).json()
        installation.kill()
        installation.start()
        with client_of(installation) as http:
            assert http.get(MODEL).json() == before
            assert http.get(path).json()["settings"] == settled["settings"]
        installation.kill()
        edited = House(installation, http).document | {"model": "gone:model"}
        (installation.data_dir / "model_settings.json").write_text(json.dumps(edited))
        installation.start()
        with client_of(installation) as http:
            assert http.get(MODEL).json()["model"] == "gone:model"
            assert http.patch(MODEL, json={"model": None}).json()["model"] == "openrouter/auto"
