"""A ledger, a bare connection with its tables, and other processes that use it."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import pytest

from servers.kit.gate import schema
from servers.kit.gate.ledger import Ledger
from tests.fakes.effects import EffectsServer, running_effects
from tests.servers.kit.gate.in_memory import EffectsInMemory

StartRacer = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "servers" / "mail" / "gate.db"


@pytest.fixture
async def ledger(ledger_path: Path) -> AsyncGenerator[Ledger]:
    async with Ledger(ledger_path) as opened:
        yield opened


@pytest.fixture
def conn(tmp_path: Path) -> Generator[sqlite3.Connection]:
    """A connection for functions that need no thread."""
    connection = sqlite3.connect(tmp_path / "gate.db", isolation_level=None)
    schema.prepare(connection)
    yield connection
    connection.close()


@pytest.fixture
def start_racer(ledger_path: Path) -> Generator[StartRacer]:
    """Starts `racer.py` with a call of these fields; it is ready when this returns."""
    running: list[subprocess.Popen[str]] = []

    def start(**call: str) -> subprocess.Popen[str]:
        racer = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.kit.gate.racer", ledger_path, json.dumps(call)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        running.append(racer)
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
        return racer

    yield start
    for racer in running:
        racer.kill()
        racer.communicate()


def told(racer: subprocess.Popen[str]) -> None:
    """Tells a racer to go on."""
    assert racer.stdin is not None
    racer.stdin.write("go\n")


def said(racer: subprocess.Popen[str]) -> str:
    """The next line of a racer."""
    assert racer.stdout is not None
    return racer.stdout.readline().strip()


@pytest.fixture
def effects(tmp_path: Path) -> EffectsInMemory:
    """The effects server in this process, with a data directory of its own."""
    return EffectsInMemory(tmp_path)


@pytest.fixture(scope="module")
def effects_process(tmp_path_factory: pytest.TempPathFactory) -> Generator[EffectsServer]:
    """The effects server for all tests of a module that leave it running."""
    with running_effects(tmp_path_factory.mktemp("effects")) as server:
        yield server
