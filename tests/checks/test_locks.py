"""The lock files: they fit pyproject.toml, agree with each other and name no host."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
RUNTIME = ROOT / "requirements.lock"
LOCKS = {
    RUNTIME: PROJECT["project"]["dependencies"],
    ROOT / "tests" / "requirements.lock": PROJECT["project"]["dependencies"] + GROUPS["test"],
    ROOT / "deploy" / "requirements.lock": GROUPS["installer"],
    ROOT / "frontend" / "requirements.lock": GROUPS["node"],
    ROOT / "tests" / "redteam" / "requirements.lock": GROUPS["redteam"],
}
NODE_LOCKS = sorted(
    path
    for path in (*ROOT.glob("frontend/package-lock.json"), *ROOT.glob("tests/*/package-lock.json"))
)


def pins(lock: Path) -> dict[str, str]:
    """Name and version of every package of a lock."""
    return dict(re.findall(r"^([a-z0-9.\-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_a_lock_holds_what_the_project_asks_for(lock: Path):
    pinned = pins(lock)
    wrong = [
        text
        for text in LOCKS[lock]
        if not (wanted := Requirement(text)).specifier.contains(pinned.get(wanted.name, "0"))
    ]
    assert wrong == [], "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_every_line_of_a_lock_is_a_pin_a_hash_or_a_comment(lock: Path):
    line = re.compile(r"[a-z0-9.\-]+==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?|    #.*")
    assert [text for text in lock.read_text().splitlines() if not line.fullmatch(text)] == []


def test_the_tests_run_on_the_versions_of_the_runtime():
    tests = pins(ROOT / "tests" / "requirements.lock")
    assert {name: tests.get(name) for name in pins(RUNTIME)} == pins(RUNTIME)


@pytest.mark.parametrize("lock", NODE_LOCKS, ids=str)
def test_a_node_lock_pins_every_package_by_hash_and_names_no_host(lock: Path):
    text = lock.read_text()
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert [name for name, entry in packages.items() if "integrity" not in entry] == []
    assert '"resolved"' not in text


@pytest.mark.parametrize("lock", NODE_LOCKS, ids=str)
def test_a_node_lock_holds_every_platforms_packages(lock: Path):
    """Npm drops those its registry lacked that day, and then refuses its own lock."""
    packages = json.loads(lock.read_text())["packages"]
    wanted = {name for entry in packages.values() for name in entry.get("optionalDependencies", {})}
    held = {path.rpartition("node_modules/")[2] for path in packages}
    assert sorted(wanted - held) == []
