"""The probe server, in memory and as a process."""

import json
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from servers.kit.manifest import FLEET_DIR
from servers.kit.scaffold import write_server
from servers.kit.server import FleetServer
from tests.servers.kit.probe import probe_server
from tests.servers.kit.process import ServerProcess, running_program

StartProbe = Callable[..., AbstractContextManager[ServerProcess]]


@pytest.fixture
def probe() -> FleetServer[str]:
    return probe_server()


@pytest.fixture
def start_probe(tmp_path: Path) -> StartProbe:
    """Starts the probe as a process; keywords are its options, `environment` its variables."""

    @contextmanager
    def start(
        environment: dict[str, str] | None = None, **options: Any
    ) -> Generator[ServerProcess]:
        command = [sys.executable, "-m", "tests.servers.kit.probe", json.dumps(options)]
        with running_program(command, "probe", tmp_path, environment) as server:
            yield server

    return start


@pytest.fixture(scope="module")
def probe_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """One probe for all tests of a module that leave it as it was."""
    command = [sys.executable, "-m", "tests.servers.kit.probe", '{"deadline_s": 0.3}']
    with running_program(command, "probe", tmp_path_factory.mktemp("probe")) as server:
        yield server


@pytest.fixture(scope="session")
def fleet_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the kit, the fleet's tests and two new servers, `left` and `right`."""
    root = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(FLEET_DIR / "kit", root / "servers" / "kit", ignore=ignored)
    for name in ("__init__.py", "__main__.py", "README.md"):
        shutil.copy(FLEET_DIR / name, root / "servers" / name)
    tests = Path("tests", "servers")
    shutil.copytree(FLEET_DIR.parent / tests / "kit", root / tests / "kit", ignore=ignored)
    for name in ("conftest.py", "test_fleet.py"):
        shutil.copy(FLEET_DIR.parent / tests / name, root / tests / name)
    shutil.copy(FLEET_DIR.parent / "pyproject.toml", root / "pyproject.toml")
    for name in ("left", "right"):
        write_server(name, root / "servers")
    return root
