"""What the shelf of presets takes in, and what it leaves outside."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.domain.presets import MAX_PRESETS, Preset, PresetsDocument
from orchestrator.domain.servers import ServerConfig, ServersDocument
from orchestrator.errors import Conflict
from orchestrator.presets.shelf import added, with_imported
from orchestrator.store.document_folder import Contents


def preset(name: str, **more: Any) -> Preset:
    return Preset.model_validate({"name": name, "created_at": "x", "updated_at": "x", **more})


@pytest.mark.parametrize(
    "name", [".", "..", " .. ", "a/b", "a\\b", "a\nb", "a\x85b", " ", "x" * 65]
)
def test_a_name_that_no_address_can_hold_is_refused(name: str):
    with pytest.raises(ValidationError):
        preset(name)


@pytest.mark.parametrize("name", ["...", "a%2Fb", "a?b#c", "👩‍💻", "Ärger", "default mail"])
def test_any_other_name_is_fine(name: str):
    assert preset(name).name == name


def test_a_server_is_switched_once():
    switch = {"id": "mail", "enabled": True}
    with pytest.raises(ValidationError, match="found again: mail"):
        preset("Work", servers=[switch, switch | {"enabled": False}])


@pytest.mark.parametrize("on_conflict", ["refuse", "replace", "skip"])
def test_an_import_that_has_a_name_twice_is_a_conflict(on_conflict: Any):
    with pytest.raises(Conflict, match="same name: Work"):
        with_imported(Contents(), [preset("Work"), preset("Work")], on_conflict)


def test_the_shelf_has_an_end():
    full = PresetsDocument(presets=tuple(preset(f"P{number}") for number in range(MAX_PRESETS)))
    now = replace(Contents(), presets=full)
    with pytest.raises(Conflict, match="Delete some first"):
        added(now, "One more")
    with pytest.raises(Conflict, match="Delete some first"):
        with_imported(now, [preset("One more")], "refuse")


def test_whatever_is_switched_off_fits_into_a_preset():
    longest = tuple(f"{number:0256}" for number in range(1000))
    server = ServerConfig(id="mail", url="http://127.0.0.1:1/mcp", disabled_tools=longest)
    now = replace(Contents(), mcp_servers=ServersDocument(servers=(server,)))
    assert added(now, "Work").presets.presets[0].servers[0].disabled_tools == longest
