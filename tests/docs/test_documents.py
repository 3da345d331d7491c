"""Nothing exists that no README knows, and nothing is described that does not exist."""

import re
from collections import Counter

import pytest

from orchestrator.settings import Settings, variable_of
from orchestrator.store.schema import metadata
from servers.kit.manifest import all_manifests, load_manifest
from servers.kit.settings import KitSettings
from tests.checks import docs, openapi, tables
from tests.processes import ROOT

ORCHESTRATOR = ROOT / "orchestrator" / "README.md"
FLEET = ROOT / "servers" / "README.md"
SERVERS = [manifest.name for manifest in all_manifests()]


def test_every_setting_is_in_the_readme_of_the_orchestrator():
    assert docs.missing(map(variable_of, Settings.model_fields), ORCHESTRATOR) == []


def test_every_route_is_in_the_readme_of_the_orchestrator():
    assert docs.missing({path for _, path, _ in openapi.routes()}, ORCHESTRATOR) == []


def test_every_route_says_what_it_does():
    assert [f"{method} {path}" for method, path, text in openapi.routes() if not text] == []


def test_every_error_is_in_the_readme_of_the_orchestrator():
    classes = list(tables.error_classes())
    assert docs.missing([error.__name__ for error in classes], ORCHESTRATOR) == []
    assert docs.missing([error.code for error in classes], ORCHESTRATOR) == []


def test_every_error_has_a_sentence_and_every_code_belongs_to_one_class():
    classes = list(tables.error_classes())
    assert [error.__name__ for error in classes if not tables.first(error)] == []
    assert [code for code, n in Counter(error.code for error in classes).items() if n > 1] == []


def test_every_table_is_in_the_readme_of_the_orchestrator():
    assert docs.missing(metadata.tables, ORCHESTRATOR) == []


def test_every_setting_of_the_kit_is_in_the_readme_of_the_fleet():
    assert docs.missing(tables.variables_of(KitSettings), FLEET) == []


@pytest.mark.parametrize("server", SERVERS)
def test_every_tool_and_setting_of_a_server_is_in_its_readme(server: str):
    manual = ROOT / "servers" / server / "README.md"
    assert docs.missing(load_manifest(server).tools, manual) == []
    for settings in tables.server_settings(server):
        assert docs.missing(tables.variables_of(settings), manual) == []


def test_every_server_is_in_the_readme_of_the_fleet():
    text = FLEET.read_text()
    assert [name for name in SERVERS if not re.search(rf"\b{name}\b", text)] == []


def test_every_make_target_is_in_the_readme_of_the_project():
    targets = [f"make {name}" for name in tables.make_targets()]
    assert docs.missing(targets, ROOT / "README.md") == []


def test_everything_generated_is_current():
    stale = [str(path.relative_to(ROOT)) for path in docs.stale()]
    assert stale == [], "run `make docs`"


def test_every_link_in_a_document_leads_somewhere():
    broken = {str(path.relative_to(ROOT)): docs.broken_links(path) for path in docs.documents()}
    assert {path: links for path, links in broken.items() if links} == {}


def test_no_two_decisions_share_a_number():
    numbers = Counter(path.name[:4] for path in tables.DECISIONS.glob("[0-9]*.md"))
    assert [number for number, count in numbers.items() if count > 1] == []
