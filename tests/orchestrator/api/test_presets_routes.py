"""Presets, suggestions and secrets over real sockets against the real process."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from orchestrator.store.document_folder import Contents, DocumentFolder
from tests.fakes.mcp_servers import ServerProcess, toy_server
from tests.fakes.openrouter import SCRIPT_MODEL, FakeOpenRouter, running_fake
from tests.installation import Installation, running
from tests.orchestrator.store.crashing import crashes

CHOSEN = {
    "model": "fake/one",
    "fallback_models": ["fake/two"],
    "parameters": {"temperature": 0.2, "stop": ["END"], "reasoning": {"effort": "low"}},
    "provider": {"order": ["fast", "cheap"], "max_price": {"prompt": "1.5"}, "zdr": True},
    "roles": {"title": "fake/small"},
    "system_prompt": "Answer in verse.",
}
OTHERWISE = {
    "model": "fake/other",
    "parameters": {"top_p": 0.5},
    "provider": {"sort": "price"},
    "system_prompt": "Be brief.",
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("toy") / "notes.txt") as toy:
        yield toy


@pytest.fixture(scope="module")
def servers(toy: ServerProcess) -> list[dict[str, Any]]:
    return [
        {"id": "toy", "url": toy.url, "trust": "fleet", "disabled_tools": ["add"]},
        {"id": "spare", "url": "http://127.0.0.1:9/mcp", "trust": "fleet", "enabled": False},
    ]


@pytest.fixture(scope="module")
def process(tmp_path_factory, fake: FakeOpenRouter, servers) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    vault = {"FLOTILLA_VAULT_KEY_FILE": str(folder / "elsewhere" / "vault.key")}
    with running(Installation(folder, fake.base_url, SCRIPT_MODEL, servers, vault)) as process:
        yield process


@pytest.fixture
def installation(process: Installation, servers) -> Installation:
    """The running process, with the same documents for every test."""
    write(process, "model_settings", CHOSEN)
    write(process, "mcp_servers", {"servers": servers})
    write(process, "presets", {})
    write(process, "suggestions", {})
    return process


def write(installation: Installation, name: str, content: dict[str, Any]) -> None:
    """Edit a document by hand; the next change of any takes it over."""
    path = installation.data_dir / f"{name}.json"
    path.write_text(json.dumps(content))


def ask(installation: Installation, method: str, path: str, body: Any = None) -> httpx2.Response:
    headers = installation.bearer
    with httpx2.Client(base_url=installation.url, headers=headers, trust_env=False) as client:
        return client.request(method, path, json=body)


def contents(installation: Installation) -> Contents:
    return DocumentFolder(installation.data_dir).read()


def test_a_preset_brings_everything_back_field_by_field(installation):
    made = ask(installation, "POST", "/api/presets", {"name": "Work"})
    assert made.status_code == 201, made.text
    before = contents(installation)
    write(installation, "model_settings", OTHERWISE)
    servers = json.loads((installation.data_dir / "mcp_servers.json").read_text())
    servers["servers"][0] |= {"disabled_tools": [], "enabled": False}
    servers["servers"][1] |= {"enabled": True}
    added = {"id": "later", "url": "http://127.0.0.1:9/mcp", "trust": "fleet"}
    write(installation, "mcp_servers", servers | {"servers": [*servers["servers"], added]})

    applied = ask(installation, "POST", "/api/presets/Work/apply")
    assert applied.status_code == 200, applied.text
    changed = {item["field"]: (item["now"], item["preset"]) for item in applied.json()["items"]}
    assert changed["model"] == ("fake/other", "fake/one")
    assert changed["parameters.temperature"] == (None, 0.2)
    assert changed["parameters.top_p"] == (0.5, None)
    assert changed["servers.toy.disabled_tools"] == ([], ["add"])
    assert changed["servers.later.enabled"] == (True, False)
    after = contents(installation)
    assert after.model_settings == before.model_settings
    assert after.mcp_servers.servers[:2] == before.mcp_servers.servers
    assert not after.mcp_servers.servers[2].enabled
    assert ask(installation, "GET", "/api/presets/Work/diff").json() == {"items": []}
    listed = ask(installation, "GET", "/api/mcp/servers").json()["items"]
    assert {server["id"]: server["enabled"] for server in listed} == {
        "toy": True,
        "spare": False,
        "later": False,
    }


def test_names_that_are_unknown_taken_or_addresses(installation):
    assert ask(installation, "POST", "/api/presets", {"name": "Work"}).status_code == 201
    assert ask(installation, "POST", "/api/presets", {"name": "Work"}).status_code == 409
    assert ask(installation, "POST", "/api/presets", {"name": "export"}).status_code == 400
    assert ask(installation, "POST", "/api/presets", {"name": "a/b"}).status_code == 422
    for method, path in (
        ("GET", "/api/presets/None"),
        ("PUT", "/api/presets/None"),
        ("DELETE", "/api/presets/None"),
        ("GET", "/api/presets/None/diff"),
        ("POST", "/api/presets/None/apply"),
        ("GET", "/api/presets/default"),
    ):
        answer = ask(installation, method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)


def test_a_preset_whose_server_is_gone_changes_nothing(installation):
    ask(installation, "POST", "/api/presets", {"name": "Work"})
    write(installation, "model_settings", OTHERWISE)
    servers = json.loads((installation.data_dir / "mcp_servers.json").read_text())
    write(installation, "mcp_servers", servers | {"servers": servers["servers"][:1]})
    answer = ask(installation, "POST", "/api/presets/Work/apply")
    assert answer.status_code == 409
    assert "spare" in answer.json()["detail"]
    assert contents(installation).model_settings.model == "fake/other"


def test_a_preset_whose_endpoint_is_gone_changes_nothing(installation):
    lost = {"name": "Lost", "created_at": "x", "updated_at": "x", "roles": {"title": "gone:small"}}
    assert ask(installation, "POST", "/api/presets/import", {"presets": [lost]}).status_code == 200
    before = contents(installation)
    answer = ask(installation, "POST", "/api/presets/Lost/apply")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "gone:small" in answer.json()["detail"]
    assert contents(installation) == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"system_prompt": "half \ud800"}, "presets.0.system_prompt"),
        ({"updated_at": "\ud800"}, "presets.0.updated_at"),
        ({"servers": [{"id": "\ud800", "enabled": True}]}, "presets.0.servers.0.id"),
    ],
)
def test_text_that_nothing_can_store_is_refused(installation, fields, field):
    preset = {"name": "Half", "created_at": "x", "updated_at": "x", **fields}
    body = json.dumps({"presets": [preset]})
    headers = installation.bearer | {"Content-Type": "application/json"}
    url = f"{installation.url}/api/presets/import"
    answer = httpx2.post(url, content=body, headers=headers, trust_env=False)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_the_default_stays_until_another_is_chosen(installation):
    ask(installation, "POST", "/api/presets", {"name": "Work"})
    assert ask(installation, "PUT", "/api/presets/default", {"name": "Play"}).status_code == 404
    assert ask(installation, "PUT", "/api/presets/default", {"name": "Work"}).status_code == 200
    assert ask(installation, "GET", "/api/presets/default").json()["name"] == "Work"
    assert ask(installation, "DELETE", "/api/presets/Work").status_code == 409
    ask(installation, "PUT", "/api/presets/default", {"name": None})
    assert ask(installation, "DELETE", "/api/presets/Work").status_code == 204


def test_what_was_exported_can_be_imported_again(installation):
    ask(installation, "POST", "/api/presets", {"name": "Work"})
    exported = ask(installation, "GET", "/api/presets/export").json()
    assert ask(installation, "POST", "/api/presets/import", exported).status_code == 409
    ask(installation, "DELETE", "/api/presets/Work")
    imported = ask(installation, "POST", "/api/presets/import", exported)
    assert imported.status_code == 200, imported.text
    assert ask(installation, "GET", "/api/presets/export").json() == exported
    exported["presets"][0]["model"] = "fake/three"
    replaced = {**exported, "on_conflict": "replace"}
    assert ask(installation, "POST", "/api/presets/import", replaced).status_code == 200
    assert ask(installation, "GET", "/api/presets/Work").json()["model"] == "fake/three"


def test_suggestions_are_added_replaced_ordered_and_deleted_by_id(installation):
    first = ask(installation, "POST", "/api/suggestions", {"label": "A", "text": "Do a"}).json()
    second = ask(installation, "POST", "/api/suggestions/", {"label": "B", "text": "Do b"}).json()
    path = f"/api/suggestions/{first['id']}"
    changed = ask(installation, "PUT", path, {"label": "A2", "text": "Do a2"})
    assert changed.json() == {"id": first["id"], "label": "A2", "text": "Do a2"}
    order = {"ids": [second["id"], first["id"]]}
    assert ask(installation, "PUT", "/api/suggestions/order", order).status_code == 200
    listed = ask(installation, "GET", "/api/suggestions").json()["items"]
    assert [item["label"] for item in listed] == ["B", "A2"]
    assert ask(installation, "DELETE", path).status_code == 204
    assert ask(installation, "DELETE", path).status_code == 404
    assert ask(installation, "PUT", "/api/suggestions/order", order).status_code == 409
    blank = {"label": " ", "text": "x"}
    assert ask(installation, "POST", "/api/suggestions", blank).status_code == 422


def test_a_secret_goes_in_and_never_comes_out(installation):
    canary = "canary-of-the-vault-4711"
    assert ask(installation, "PUT", "/api/secrets/mcp.toy", {"value": canary}).status_code == 204
    listed = ask(installation, "GET", "/api/secrets")
    assert canary not in listed.text
    [entry] = listed.json()["items"]
    assert (entry["name"], entry["readable"], entry["used_by"]) == ("mcp.toy", True, [])
    folder = installation.data_dir.parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if canary.encode() in path.read_bytes()] == []
    assert (folder / "elsewhere" / "vault.key").stat().st_mode & 0o077 == 0
    refused = ask(installation, "PUT", "/api/secrets/mcp.toy", {"value": "two words"})
    assert refused.status_code == 422
    assert "two words" not in refused.text
    assert ask(installation, "DELETE", "/api/secrets/mcp.toy").status_code == 204
    assert ask(installation, "DELETE", "/api/secrets/mcp.toy").status_code == 404


def test_a_secret_that_is_used_stays(installation):
    ask(installation, "PUT", "/api/secrets/mcp.toy", {"value": "abc"})
    path = installation.data_dir / "mcp_servers.json"
    servers = json.loads(path.read_text())
    servers["servers"][0]["token_secret"] = "mcp.toy"
    write(installation, "mcp_servers", servers)
    ask(installation, "POST", "/api/suggestions", {"label": "A", "text": "takes the edit over"})
    answer = ask(installation, "DELETE", "/api/secrets/mcp.toy")
    assert (answer.status_code, "server toy" in answer.json()["detail"]) == (409, True)


def test_a_crash_at_any_write_of_apply_leaves_the_old_or_the_new(installation, tmp_path):
    ask(installation, "POST", "/api/presets", {"name": "Work"})
    new = contents(installation)
    write(installation, "model_settings", OTHERWISE)
    servers = json.loads((installation.data_dir / "mcp_servers.json").read_text())
    servers["servers"][0] |= {"disabled_tools": [], "enabled": False}
    write(installation, "mcp_servers", servers)
    old = contents(installation)
    seen = set()
    for step, found, is_whole in crashes(tmp_path, old, "apply", "Work"):
        assert found in (old, new), f"a mix after a crash at step {step}"
        assert found == new or not is_whole
        seen.add(found == new)
    assert seen == {False, True}
