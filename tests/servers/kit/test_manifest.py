"""What a manifest may say, and what follows from it."""

from pathlib import Path

import pytest

from servers.kit.manifest import ManifestError, ToolManifest, all_manifests, load_manifest

SOUND = """
name = "notes"
title = "Notes"
description = "Reads notes."
port = 9150
tier = "bronze"
environment = ["NOTES_ROOT"]
[tools.read_note]
labels = ["read", "private"]
[tools.delete_note]
labels = ["write", "destructive"]
level = 3
"""


def write(fleet: Path, text: str, folder: str = "notes") -> Path:
    path = fleet / folder / "manifest.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sound_manifest_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path, SOUND)

    manifest = load_manifest("notes", tmp_path)

    assert manifest.port == 9150
    assert manifest.environment == ("NOTES_ROOT",)
    assert not manifest.enabled_by_default
    assert manifest.title_of("delete_note") == "Delete note"
    assert manifest.tools["delete_note"].level == 3
    assert all_manifests(tmp_path) == (manifest,)


@pytest.mark.parametrize(
    ("labels", "level", "hints"),
    [
        (["read"], 0, (True, False, True, False)),
        (["read", "untrusted"], 0, (True, False, True, True)),
        (["read", "write"], 1, (False, False, False, False)),
        (["write", "egress"], 3, (False, False, False, True)),
        (["write", "destructive"], 2, (False, True, False, False)),
    ],
)
def test_annotations_follow_from_labels(
    labels: list[str], level: int, hints: tuple[bool, ...]
) -> None:
    found = ToolManifest.model_validate({"labels": labels, "level": level}).annotations

    assert hints == (
        found.read_only_hint,
        found.destructive_hint,
        found.idempotent_hint,
        found.open_world_hint,
    )


def test_a_tool_may_say_that_it_is_idempotent() -> None:
    tool = ToolManifest.model_validate({"labels": ["write"], "level": 1, "idempotent": True})

    assert tool.annotations.idempotent_hint is True


@pytest.mark.parametrize(
    ("tool", "complaint"),
    [
        ({"labels": ["private"]}, "`read` or `write`"),
        ({"labels": ["read", "destructive"]}, "also has the label `write`"),
        ({"labels": ["write"]}, "use 1 or more"),
        ({"labels": ["write", "destructive"], "level": 1}, "use 2 or more"),
        ({"labels": ["read"], "level": 4}, "level"),
        ({"labels": ["reads"]}, "labels"),
        ({"labels": ["read"], "lable": 1}, "lable"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tool: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ToolManifest.model_validate(tool)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "notes"', 'name = "other"', "the folder is not"),
        ("port = 9150", "port = 80", "port"),
        ("port = 9150", "port = ", "notes/manifest.toml"),
        ("[tools.read_note]", "[tools.Read]", "tools"),
        ("[tools.read_note]", f"[tools.{'r' * 41}]", "tools"),
        ("NOTES_ROOT", "notes root", "environment"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_path(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    write(tmp_path, SOUND.replace(old, new))

    with pytest.raises(ManifestError, match=complaint):
        load_manifest("notes", tmp_path)


@pytest.mark.parametrize("name", ["nothing_here", "../notes", "", "Notes"])
def test_a_name_that_is_no_server_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError):
        load_manifest(name, tmp_path)


def test_qualified_names_must_fit_in_64_characters(tmp_path: Path) -> None:
    name = "n" * 30
    write(tmp_path, SOUND.replace('"notes"', f'"{name}"').replace("read_note", "r" * 40), name)

    with pytest.raises(ManifestError, match="over 64 characters"):
        load_manifest(name, tmp_path)
