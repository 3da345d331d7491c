import json

import pytest

from orchestrator.cli.fleet import FleetDocument, FleetServer, list_fleet


def server(name, enabled=True):
    return FleetServer(
        name=name,
        title=name.title(),
        url="http://127.0.0.1:9101/mcp",
        token_file=f"tokens/{name}",
        enabled_by_default=enabled,
    )


def test_the_first_document_holds_the_whole_fleet(tmp_path):
    document = FleetDocument(tmp_path)
    assert not document.exists
    assert document.adopt([server("calculator"), server("gmail", enabled=False)]) == ["calculator"]
    assert document.enabled_servers() == ["calculator"]
    written = json.loads((tmp_path / "mcp_servers.json").read_text())
    assert written["version"] == 1
    assert written["servers"][0]["trust"] == "fleet"
    assert written["servers"][0]["token_file"] == "tokens/calculator"


def test_new_servers_are_added_and_the_owners_choices_stay(tmp_path):
    path = tmp_path / "mcp_servers.json"
    calculator = {
        "id": "calculator",
        "url": "http://127.0.0.1:9999/mcp",
        "enabled": False,
        "trust": "fleet",
    }
    foreign = {"id": "foreign", "url": "https://mcp.example/mcp", "trust": "third_party"}
    path.write_text(json.dumps({"version": 1, "servers": [calculator, foreign]}))
    document = FleetDocument(tmp_path)
    assert document.adopt([server("calculator"), server("notion")]) == ["notion"]
    assert document.enabled_servers() == ["notion"]
    kept = json.loads(path.read_text())["servers"][0]
    assert (kept["url"], kept["enabled"]) == ("http://127.0.0.1:9999/mcp", False)


def test_an_unchanged_fleet_leaves_the_file_alone(tmp_path):
    document = FleetDocument(tmp_path)
    document.adopt([server("calculator")])
    before = (tmp_path / "mcp_servers.json").stat().st_mtime_ns
    assert document.adopt([server("calculator")]) == []
    assert (tmp_path / "mcp_servers.json").stat().st_mtime_ns == before


def test_a_server_that_the_owner_removed_stays_away(tmp_path):
    path = tmp_path / "mcp_servers.json"
    document = FleetDocument(tmp_path)
    document.adopt([server("calculator"), server("notion")])
    written = json.loads(path.read_text())
    written["servers"] = [entry for entry in written["servers"] if entry["id"] != "notion"]
    path.write_text(json.dumps(written))
    assert FleetDocument(tmp_path).adopt([server("calculator"), server("notion")]) == []
    assert document.enabled_servers() == ["calculator"]


@pytest.mark.parametrize("edit", ["{", '{"version": 1, "servers": 5}', None])
def test_an_edit_that_cannot_be_used_is_left_to_the_orchestrator(tmp_path, edit):
    document = FleetDocument(tmp_path)
    document.adopt([server("calculator"), server("notion")])
    assert document.enabled_servers() == ["calculator", "notion"]
    path = tmp_path / "mcp_servers.json"
    path.unlink() if edit is None else path.write_text(edit)
    assert document.enabled_servers() == ["calculator", "notion"]
    assert path.exists() == (edit is not None)
    assert list(tmp_path.glob("*.corrupt-*")) == []


def test_a_document_that_was_written_is_noticed(tmp_path):
    document = FleetDocument(tmp_path)
    document.has_changed()
    assert not document.has_changed()
    FleetDocument(tmp_path).adopt([server("calculator")])
    assert document.has_changed()
    assert not document.has_changed()


async def test_the_real_fleet_can_be_listed():
    assert "calculator" in [server.name for server in await list_fleet()]


@pytest.mark.parametrize("command", ["serve", "practice", "up"])
def test_every_long_command_has_help(terminal, command):
    assert terminal.run(command, "--help").returncode == 0
