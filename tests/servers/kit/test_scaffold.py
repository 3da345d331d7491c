"""`new`: a server that works from the first minute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers.kit.manifest import load_manifest
from servers.kit.scaffold import ScaffoldError, write_server

RUN_LIMIT_S = 50


def run(fleet: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=fleet,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )


def test_a_new_server_passes_its_own_tests_and_the_fleets(fleet_copy: Path) -> None:
    made = run(fleet_copy, "servers", "new", "new_notes")
    assert made.returncode == 0, made.stderr

    tested = run(fleet_copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/servers/new_notes")
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout
    fleet = run(
        fleet_copy, "pytest", "-q", "-k", "new_notes", "-p", "no:cacheprovider",
        "tests/servers/test_fleet.py",
    )  # fmt: skip
    assert fleet.returncode == 0, fleet.stdout
    style = run(fleet_copy, "ruff", "check", "servers/new_notes", "tests/servers/new_notes")
    assert style.returncode == 0, style.stdout


def test_a_new_server_has_the_next_free_port(fleet_copy: Path) -> None:
    ports = {load_manifest(name, fleet_copy / "servers").port for name in ("left", "right")}

    assert ports == {9101, 9102}


def test_nothing_is_written_over(fleet_copy: Path) -> None:
    with pytest.raises(ScaffoldError, match="is there already"):
        write_server("left", fleet_copy / "servers")


@pytest.mark.parametrize("name", ["kit", "Notes", "../notes", "n", "1notes", "tests", "a-b"])
def test_a_name_that_cannot_be_a_package_is_refused(fleet_copy: Path, name: str) -> None:
    with pytest.raises(ScaffoldError, match="cannot be a server"):
        write_server(name, fleet_copy / "servers")


def test_the_command_says_what_is_wrong_in_one_line(fleet_copy: Path) -> None:
    made = run(fleet_copy, "servers", "new", "left")

    assert made.returncode == 1
    assert made.stderr.startswith("error: ")
    assert made.stderr.count(os.linesep) == 1
