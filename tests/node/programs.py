"""Runs the Node programs of this folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
OLDEST_NODE = (22, 19)
RUN_LIMIT_S = 50


def find_node() -> str:
    """The path of a Node that is new enough; fails the test with what to do when there is none."""
    own = Path(sys.executable).parent / "node"
    node = str(own) if own.exists() else shutil.which("node")
    if node is None:
        pytest.fail("there is no Node: `make test` installs it")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(int(part) for part in version.strip().lstrip("v").split(".")[:2]) < OLDEST_NODE:
        pytest.fail(
            f"{node} is {version.strip()}, older than 22.19: `make test` installs a newer one"
        )
    return node


def run_program(
    package: str,
    *arguments: str,
    home: Path,
    bearer_token: str | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs the program of an installed package; `home` keeps what it wants to remember.

    It runs there too, unless `cwd` says otherwise.
    `bearer_token` goes with each of its HTTP requests, for programs that cannot send one.
    """
    folder = FOLDER / "node_modules" / package
    if not folder.is_dir():
        pytest.fail(f"{package} is not installed: `make test` installs what {FOLDER} needs")
    binaries: dict[str, str] | str = json.loads((folder / "package.json").read_text())["bin"]
    program = folder / (binaries if isinstance(binaries, str) else next(iter(binaries.values())))
    preload = ["--import", str(FOLDER / "bearer.mjs")] if bearer_token else []
    return subprocess.run(
        [find_node(), *preload, str(program), *arguments],
        cwd=cwd or home,
        env={
            **os.environ,
            "HOME": str(home),
            "NO_COLOR": "1",
            "MCP_BEARER_TOKEN": bearer_token or "",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )


def npx_folder(folder: Path) -> Path:
    """A folder for PATH with `npx` and the Node of `find_node`; a wheel's own npx cannot start."""
    node = find_node()
    npx = Path(node).resolve().parent.parent / "lib/node_modules/npm/bin/npx-cli.js"
    folder.mkdir()
    (folder / "node").symlink_to(node)
    (folder / "npx").write_text(f'#!/bin/sh\nexec "{node}" "{npx}" "$@"\n')
    (folder / "npx").chmod(0o755)
    return folder
