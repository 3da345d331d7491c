from pathlib import Path

import pytest

from orchestrator.cli.env_example import example_env
from orchestrator.cli.explain import explain
from orchestrator.settings import (
    InvalidSettings,
    Settings,
    load_settings,
    unknown_variables,
    variable_of,
)
from servers.kit.gate.journal import KEPT_S

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_of(field), raising=False)


def env_file(folder, text):
    path = folder / ".env"
    path.write_text(text)
    return path


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path, monkeypatch):
    file = env_file(tmp_path, "FLOTILLA_PORT=8100\nTURN_MAX_ROUNDS=5\n")
    monkeypatch.setenv("FLOTILLA_PORT", "8200")
    settings = load_settings(file)
    assert (settings.port, settings.turn_max_rounds, settings.turn_max_tool_calls) == (8200, 5, 25)
    assert explain("FLOTILLA_PORT", file).layer == "environment"
    assert explain("turn_max_rounds", file).layer == ".env"
    assert explain("TURN_MAX_TOOL_CALLS", file).layer == "default"


def test_an_empty_value_counts_as_not_set(tmp_path):
    file = env_file(tmp_path, "OPENROUTER_API_KEY=\nFLOTILLA_PORT=\n")
    settings = load_settings(file)
    assert (settings.openrouter_api_key, settings.port) == (None, 8000)
    assert explain("OPENROUTER_API_KEY", file).layer == "default"


def test_each_wrong_value_is_one_sentence_that_names_its_variable(tmp_path):
    text = "FLOTILLA_PORT=many\nFLOTILLA_PUBLIC_ORIGINS=flotilla\nFLOTILLA_TIMEZONE=../etc\n"
    with pytest.raises(InvalidSettings) as refused:
        load_settings(env_file(tmp_path, text))
    sentences = str(refused.value).splitlines()
    names = ["FLOTILLA_PORT", "FLOTILLA_PUBLIC_ORIGINS", "FLOTILLA_TIMEZONE"]
    assert [sentence.split()[0] for sentence in sentences] == names
    assert all(sentence.endswith(".") for sentence in sentences)


def test_a_slip_of_the_pen_is_reported_and_the_names_of_the_fleet_are_not(tmp_path):
    file = env_file(tmp_path, "FLOTILLA_PROT=1\nFLOTILLA_SERVER_HOST=x\nOTHER=2\n")
    assert unknown_variables(file) == ["FLOTILLA_PROT"]


def test_secrets_are_masked_everywhere(tmp_path):
    file = env_file(tmp_path, "OPENROUTER_API_KEY=sk-or-secret\n")
    assert "sk-or-secret" not in repr(load_settings(file))
    assert "sk-or-secret" not in explain("OPENROUTER_API_KEY", file).value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://Flotilla.example.org/", ("https://flotilla.example.org",)),
        (
            "https://a.example:443, http://b.example:8080",
            ("https://a.example", "http://b.example:8080"),
        ),
    ],
)
def test_origins_are_read_as_browsers_write_them(tmp_path, written, read):
    file = env_file(tmp_path, f"FLOTILLA_PUBLIC_ORIGINS={written}\n")
    assert load_settings(file).public_origins == read


@pytest.mark.parametrize("origin", ["ftp://x", "https://user@x", "https://x/path", "https://x?q"])
def test_what_is_not_an_origin_is_refused(tmp_path, origin):
    with pytest.raises(InvalidSettings):
        load_settings(env_file(tmp_path, f"FLOTILLA_PUBLIC_ORIGINS={origin}\n"))


def test_an_approval_lives_no_longer_than_servers_remember_calls(tmp_path):
    # A day is left for a call that was approved at the last moment and then met a crash.
    longest_h = KEPT_S // 3_600 - 24
    given = env_file(tmp_path, f"FLOTILLA_APPROVAL_LIFETIME_H={longest_h}\n")
    assert load_settings(given).approval_lifetime_h == longest_h
    with pytest.raises(InvalidSettings):
        load_settings(env_file(tmp_path, f"FLOTILLA_APPROVAL_LIFETIME_H={longest_h + 1}\n"))


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_example_file_is_up_to_date():
    assert (CHECKOUT / ".env.example").read_text() == example_env()


def test_the_example_file_changes_nothing(tmp_path):
    lines = [line.removeprefix("# ") for line in example_env().splitlines() if "=" in line]
    settings = [line for line in lines if line.partition("=")[0].isupper()]
    file = env_file(tmp_path, "\n".join(settings))
    defaults = load_settings(tmp_path / "missing")
    given = load_settings(file).model_copy(update={"frontend_dir": defaults.frontend_dir})
    assert given == defaults
