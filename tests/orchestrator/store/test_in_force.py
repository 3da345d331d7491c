from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from orchestrator.domain.model_settings import ModelSettings, SessionSettings
from orchestrator.settings import Settings, load_settings, variable_of
from orchestrator.store.in_force import (
    DEFAULT_MODEL,
    FIELDS_OF_VARIABLES,
    KEYS,
    OPENROUTER_URL,
    PRACTICE_MODEL,
    LayerName,
    SettingsLayer,
    document_layer,
    environment_layers,
    in_force,
    is_practising,
    lasting_layers,
    session_layer,
    turn_layer,
)

MODELS = st.none() | st.sampled_from(["a/1", "b/2", "c/3"])
TEMPERATURES = st.none() | st.floats(0, 2)
SORTS = st.none() | st.sampled_from(["price", "latency"])
ORDER: list[LayerName] = ["turn", "session", "environment", "data/model_settings.json"]


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in FIELDS_OF_VARIABLES.values():
        monkeypatch.delenv(variable_of(field), raising=False)


def choice(model: str | None, temperature: float | None, sort: str | None) -> dict[str, Any]:
    return {"model": model, "parameters": {"temperature": temperature}, "provider": {"sort": sort}}


@given(st.lists(st.tuples(MODELS, TEMPERATURES, SORTS), min_size=3, max_size=3), MODELS)
def test_each_field_comes_from_the_strongest_layer_that_says_it(said, by_environment):
    turn, session, document = (choice(*fields) for fields in said)
    given_settings = {} if by_environment is None else {"openrouter_default_model": by_environment}
    found = in_force(
        (
            turn_layer(SessionSettings.model_validate(turn)),
            session_layer(SessionSettings.model_validate(session)),
            *environment_layers(
                Settings.model_construct({*given_settings}, **given_settings),
                lambda _: "environment",
            ),
            document_layer(ModelSettings.model_validate(document)),
        )
    )
    by_layer = {
        "model": [said[0][0], said[1][0], by_environment, said[2][0]],
        "parameters.temperature": [said[0][1], said[1][1], None, said[2][1]],
        "provider.sort": [said[0][2], said[1][2], None, said[2][2]],
    }
    got = {
        "model": found.model,
        "parameters.temperature": found.parameters.temperature,
        "provider.sort": found.provider.sort,
    }
    for key, values in by_layer.items():
        default = DEFAULT_MODEL if key == "model" else None
        first = next((n for n, value in enumerate(values) if value is not None), None)
        assert got[key] == (default if first is None else values[first])
        assert found.layers.get(key, "default") == ("default" if first is None else ORDER[first])


def test_the_environment_wins_over_the_file_and_both_over_the_document(
    tmp_path, monkeypatch, empty_environment
):
    file = tmp_path / ".env"
    file.write_text(
        "OPENROUTER_DEFAULT_MODEL=by/file\nOPENROUTER_SYSTEM_PROMPT=By the file\n"
        "OPENROUTER_FALLBACK_MODELS=\n"
    )
    monkeypatch.setenv("OPENROUTER_DEFAULT_MODEL", "by/environment")
    wheres = {"OPENROUTER_DEFAULT_MODEL": "environment", "OPENROUTER_SYSTEM_PROMPT": ".env"}
    document = ModelSettings(
        model="by/document", fallback_models=("d/2",), system_prompt="By the document"
    )
    layers = environment_layers(load_settings(file), lambda name: wheres[name])
    found = in_force((*layers, document_layer(document)))
    assert (found.model, found.layers["model"]) == ("by/environment", "environment")
    assert (found.system_prompt, found.layers["system_prompt"]) == ("By the file", ".env")
    # An empty variable says nothing.
    assert (found.fallback_models, found.layers["fallback_models"]) == (
        ("d/2",),
        "data/model_settings.json",
    )


def test_an_empty_list_is_a_choice_and_null_is_none():
    document = ModelSettings(fallback_models=("d/2",))
    nobody = session_layer(SessionSettings(fallback_models=()))
    silent = session_layer(SessionSettings(fallback_models=None))
    assert in_force((nobody, document_layer(document))).fallback_models == ()
    assert in_force((silent, document_layer(document))).fallback_models == ("d/2",)


def test_a_turn_may_use_a_server_that_its_session_does_not():
    session = session_layer(SessionSettings(disabled_servers=("mail", "web")))
    assert in_force((turn_layer(SessionSettings()), session)).disabled_servers == {"mail", "web"}
    turn = turn_layer(SessionSettings(disabled_servers=("web",)))
    assert in_force((turn, session)).disabled_servers == {"web"}
    everything = turn_layer(SessionSettings(disabled_servers=()))
    assert in_force((everything, session)).disabled_servers == frozenset()


def test_what_is_stored_of_a_turn_says_the_same_when_it_is_read_back():
    said = {"disabled_servers": [], "parameters": {"top_k": 3}, "fallback_models": []}
    stored = SessionSettings.model_validate(said).model_dump(mode="json", exclude_unset=True)
    assert turn_layer(SessionSettings.model_validate(stored)) == turn_layer(
        SessionSettings.model_validate(said)
    )


def test_a_value_with_parts_is_taken_whole():
    # Efforts and token budgets exclude each other, so two layers must not be mixed.
    turn = SessionSettings.model_validate({"parameters": {"reasoning": {"max_tokens": 2000}}})
    document = ModelSettings.model_validate({"parameters": {"reasoning": {"effort": "high"}}})
    reasoning = in_force((turn_layer(turn), document_layer(document))).parameters.reasoning
    assert reasoning is not None
    assert reasoning.model_dump(exclude_none=True) == {"max_tokens": 2000}


def test_titles_and_workers_take_the_model_of_the_chat_unless_they_have_their_own():
    document = ModelSettings.model_validate({"model": "big/one", "roles": {"title": "small/one"}})
    found = in_force((document_layer(document),))
    by_role = [found.model_for(role) for role in ("chat", "title", "worker")]
    assert by_role == ["big/one", "small/one", "big/one"]


def test_every_key_of_the_document_is_known():
    assert {"model", "system_prompt", "parameters.reasoning", "provider.max_price"} <= {*KEYS}
    assert "roles.worker" in KEYS
    assert len(KEYS) == len({*KEYS})


@pytest.mark.parametrize(
    ("key", "url", "practising"),
    [
        (None, OPENROUTER_URL, True),
        ("sk-or-1", OPENROUTER_URL, False),
        (None, "http://127.0.0.1:11434/v1", False),
    ],
)
def test_the_practice_model_answers_while_there_is_nobody_to_ask(key, url, practising):
    secret = SecretStr(key) if key else None
    settings = Settings(openrouter_api_key=secret, openrouter_base_url=url)
    assert is_practising(settings) is practising


@pytest.mark.parametrize(
    ("chosen", "answers"),
    [("home:qwen3", "home:qwen3"), ("author/model", PRACTICE_MODEL), (None, PRACTICE_MODEL)],
)
def test_the_practice_model_stands_in_for_openrouter_only(chosen, answers):
    practising = SettingsLayer(
        "environment", {"model": PRACTICE_MODEL, "system_prompt": "Be brief."}
    )
    home = {"home": {"base_url": "http://127.0.0.1:11434/v1"}}
    document = ModelSettings.model_validate({"model": chosen, "endpoints": home})
    found = in_force(lasting_layers((practising,), document))
    assert (found.model, found.system_prompt) == (answers, "Be brief.")
