"""Which layer gives a setting its value, as `flotilla explain` tells it."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.explain import PRACTISING, explain, explanation, overview
from orchestrator.settings import Settings, variable_of
from orchestrator.store.in_force import KEYS

DOCUMENT = "data/model_settings.json"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_of(field), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-1")


def write(document: dict[str, Any], env: str = "") -> None:
    Path("data").mkdir()
    Path(DOCUMENT).write_text(json.dumps(document))
    Path(".env").write_text(env)


@pytest.mark.usefixtures("keyed")
def test_each_layer_is_named_by_the_variable_and_by_the_key(monkeypatch: pytest.MonkeyPatch):
    write(
        {"model": "doc/1", "fallback_models": ["doc/2", "doc/3"], "system_prompt": "Doc."},
        "OPENROUTER_DEFAULT_MODEL=file/1\nOPENROUTER_SYSTEM_PROMPT=File.\n",
    )
    monkeypatch.setenv("OPENROUTER_SYSTEM_PROMPT", "Environment.")
    found = {
        key: (explain(key).value, explain(key).layer)
        for key in ("model", "OPENROUTER_DEFAULT_MODEL", "fallback_models", "system_prompt")
    }
    assert found == {
        "model": ("file/1", ".env"),
        "OPENROUTER_DEFAULT_MODEL": ("file/1", ".env"),
        "fallback_models": ("doc/2,doc/3", DOCUMENT),
        "system_prompt": ("Environment.", "environment"),
    }
    assert explain("openrouter_fallback_models").layer == DOCUMENT


@pytest.mark.usefixtures("keyed")
def test_settings_inside_the_document_have_keys_of_their_own():
    write(
        {
            "parameters": {"temperature": 0.4, "reasoning": {"effort": "low"}},
            "provider": {"sort": "price", "zdr": True},
            "roles": {"title": "small/one"},
        }
    )
    assert explanation("parameters.temperature").splitlines()[:2] == [
        "parameters.temperature=0.4",
        f"from: {DOCUMENT}",
    ]
    values = ("parameters.reasoning", "provider.sort", "provider.zdr", "roles.title")
    assert [explain(key).value for key in values] == [
        '{"effort":"low"}',
        "price",
        "true",
        "small/one",
    ]
    assert (explain("parameters.top_k").value, explain("parameters.top_k").layer) == ("", "default")


@pytest.mark.usefixtures("keyed")
def test_the_overview_has_every_setting_once():
    write({"parameters": {"top_k": 40}, "system_prompt": "Long. " * 100 + "\nAnd a second line."})
    rows = overview().splitlines()
    names = [row.split()[0] for row in rows]
    variables = [variable_of(field) for field in Settings.model_fields]
    inner = [key for key in KEYS if "." in key]
    assert [name for name in names if name in {*variables, *inner}] == [*variables, *inner]
    assert next(row for row in rows if row.startswith("parameters.top_k")).split()[1:] == [
        "40",
        DOCUMENT,
    ]
    assert max(map(len, rows)) < 160


def test_without_a_key_the_practice_model_is_named_as_such():
    write({"model": "doc/1"}, "OPENROUTER_DEFAULT_MODEL=file/1\n")
    found = explain("OPENROUTER_DEFAULT_MODEL")
    assert (found.value, found.layer) == ("flotilla/practice", PRACTISING)


def test_a_document_that_cannot_be_read_is_said_and_left_alone():
    write({})
    Path(DOCUMENT).write_text('{"model": 5}')
    with pytest.raises(Complaint, match=r"model_settings\.json cannot be used \(model: "):
        explanation("parameters.temperature")
    assert Path(DOCUMENT).read_text() == '{"model": 5}'
    Path(DOCUMENT).unlink()
    with pytest.raises(Complaint, match="is not a setting"):
        explanation("parameters.warmth")
