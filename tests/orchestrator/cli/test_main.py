import subprocess
import sys

import pytest

from orchestrator.cli.bind import listener, refuse_open_bind
from orchestrator.cli.complaint import Complaint
from orchestrator.cli.lock import data_lock
from orchestrator.settings import Settings

HEAVY = ("fastapi", "fastmcp", "sqlalchemy", "pydantic", "httpx2", "uvicorn", "mcp", "alembic")


def test_help_lists_all_commands(terminal):
    shown = terminal.run("--help").stdout
    for command in ("up", "serve", "sign-in", "token", "explain", "practice"):
        assert f"\n  {command} " in shown


def test_help_imports_nothing_heavy():
    code = f"import sys, orchestrator.cli.main; print(*[m for m in {HEAVY} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""


def test_explain_names_the_layer(terminal):
    (terminal.folder / ".env").write_text("TURN_MAX_ROUNDS=7\nFLOTILLA_PROT=1\n")
    shown = terminal.run("explain", "TURN_MAX_ROUNDS")
    assert shown.stdout.splitlines()[:2] == ["TURN_MAX_ROUNDS=7", "from: .env"]
    assert "FLOTILLA_PORT" in terminal.run("explain").stdout
    assert "FLOTILLA_PROT in .env is not a setting" in terminal.run("sign-in").stderr


def test_explain_of_an_unknown_key_says_how_to_list_them(terminal):
    shown = terminal.run("explain", "NOTHING")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "flotilla explain" in shown.stderr


def test_a_wrong_setting_is_one_sentence(terminal):
    terminal.extra = {"FLOTILLA_LOG_LEVEL": "LOUD"}
    shown = terminal.run("serve")
    assert shown.returncode == 1
    assert shown.stderr.startswith("FLOTILLA_LOG_LEVEL has a wrong value: ")
    assert len(shown.stderr.splitlines()) == 1


def test_commands_say_how_to_start_flotilla_when_nothing_answers(terminal):
    tokens = terminal.folder / "data" / "tokens"
    lost = terminal.run("sign-in").stderr
    assert f"There is no token in {tokens / 'cli'}: start Flotilla with `flotilla up`" in lost
    tokens.mkdir(parents=True)
    (tokens / "cli").write_text("flo_x")
    shown = terminal.run("token", "list")
    assert shown.returncode == 1
    assert f"Nothing answers at {terminal.address}" in shown.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "flotilla.example.org"])
def test_a_bind_that_others_can_reach_needs_https_or_a_clear_word(host):
    with pytest.raises(Complaint, match="FLOTILLA_PUBLIC_ORIGINS"):
        refuse_open_bind(Settings(host=host))
    with pytest.raises(Complaint):
        refuse_open_bind(Settings(host=host, public_origins=("http://flotilla.example.org",)))
    refuse_open_bind(Settings(host=host, public_origins=("https://flotilla.example.org",)))
    refuse_open_bind(Settings(host=host, allow_plain_http=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_a_loopback_bind_needs_nothing(host):
    refuse_open_bind(Settings(host=host))


def test_a_busy_port_is_one_sentence_that_names_the_setting(terminal):
    with listener("127.0.0.1", terminal.port) as busy:
        busy.listen()
        for command in ("serve", "up"):
            shown = terminal.run(command)
            assert shown.returncode == 1
            assert "set FLOTILLA_PORT to a free one" in shown.stderr


def test_a_data_folder_has_one_orchestrator(terminal, tmp_path):
    with data_lock(tmp_path / "data"):
        shown = terminal.run("serve")
    assert shown.returncode == 1
    assert "already runs" in shown.stderr
    with data_lock(tmp_path / "data"):
        pass
