"""A server whose ledger cannot be written: what changes something is refused, reading goes on."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.effects import EffectsServer, running_effects
from tests.gated_house import error_of, ledger_of, raw_call

LABEL = {"item_id": "one", "label": "x"}
OTHER = {"item_id": "one", "label": "y"}
SMALL_DISK = 'mount -t tmpfs -o size=256k tmpfs "$1"'
READ_ONLY_DISK = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")

pytestmark = pytest.mark.fault


@dataclass
class MountedServer(EffectsServer):
    """The effects server with a disk of its own, seen by nobody else, for its ledger."""

    script: str = ""

    def _command(self) -> list[str]:
        folder = ledger_of(self).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run = ["sh", "-c", f'{self.script} && shift && exec "$@"', "sh", str(folder)]
        return [*OWN_MOUNTS, *run, *super()._command()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EffectsServer]:
    with running_effects(tmp_path) as server:
        yield server


@contextmanager
def mounted(folder: Path, script: str) -> Iterator[MountedServer]:
    # A system that lets nobody mount cannot run this: the test fails there and says why.
    subprocess.run([*OWN_MOUNTS, "true"], check=True)
    server = MountedServer(folder, script=script)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_a_file_that_cannot_grow(server: EffectsServer) -> None:
    changes(server, LABEL)
    pid = server.process.pid
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000, unlimited[1]))
    assert str(ledger_of(server)) in refuses(server, OTHER)
    reads(server)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    changes(server, OTHER)
    assert len(server.effects()) == 2


def test_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path, SMALL_DISK) as server:
        changes(server, LABEL, "call-one")
        inside = Path(f"/proc/{server.process.pid}/root{ledger_of(server).parent}/filler")
        fill(inside)
        assert "disk is full" in refuses(server, OTHER, "call-two")
        reads(server)
        inside.unlink()
        changes(server, OTHER, "call-two")
        changes(server, LABEL, "call-one")
        assert len(server.effects()) == 2


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with running_effects(tmp_path) as server:
        changes(server, LABEL, "call-one")
    with mounted(tmp_path, READ_ONLY_DISK) as server:
        assert str(ledger_of(server)) in refuses(server, OTHER)
        refuses(server, LABEL, "call-one")
        reads(server)
    assert len(server.effects()) == 1


def test_a_damaged_ledger_is_neither_used_nor_replaced(server: EffectsServer) -> None:
    """Without its journal the server could do twice what it did before."""
    changes(server, LABEL, "call-one")
    server.stop()
    file = ledger_of(server)
    whole, garbage = file.read_bytes(), os.urandom(file.stat().st_size)
    file.write_bytes(garbage)
    server.start()
    sentence = refuses(server, LABEL, "call-one")
    assert "damaged" in sentence
    assert str(file) in sentence
    reads(server)
    server.stop()
    assert file.read_bytes() == garbage
    file.write_bytes(whole)
    server.start()
    changes(server, LABEL, "call-one")
    assert len(server.effects()) == 1


def changes(server: EffectsServer, label: dict[str, Any], call_id: str | None = None) -> None:
    result = call(server, label, call_id)
    assert not result.get("isError"), result


def refuses(server: EffectsServer, label: dict[str, Any], call_id: str | None = None) -> str:
    """Check that the call is refused without an effect; return what it says."""
    before = server.effects()
    result = call(server, label, call_id)
    assert error_of(result)["code"] == "gate_unavailable"
    assert server.effects() == before
    return result["content"][0]["text"]


def call(server: EffectsServer, label: dict[str, Any], call_id: str | None) -> dict[str, Any]:
    meta = {} if call_id is None else {"call_id": call_id}
    return raw_call(server, "add_label", label, **meta)


def reads(server: EffectsServer) -> None:
    result = raw_call(server, "read_note", {"item_id": "one"})
    assert not result.get("isError"), result


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as filler:
        for size in (4096, 1):
            with suppress(OSError):
                while filler.write(bytes(size)):
                    pass
