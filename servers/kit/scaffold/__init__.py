"""Writes a new server that works, with tests that pass, from the templates beside this file."""

import re
from pathlib import Path
from string import Template

from servers.kit.manifest import FIRST_PORT, FLEET_DIR, all_manifests

TEMPLATES_DIR = Path(__file__).parent / "templates"
RESERVED_NAMES = {"kit", "test", "tests"}


class ScaffoldError(Exception):
    """The server cannot be written; the message says why."""


def write_server(name: str, fleet_dir: Path = FLEET_DIR) -> list[Path]:
    """The files written: the folder `<fleet_dir>/<name>` and its tests; the fleet's README too.

    Raises ScaffoldError when the name cannot be used or anything is already there.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,31}", name) or name in RESERVED_NAMES:
        raise ScaffoldError(f"{name!r} cannot be a server: use 2 to 32 of a-z, 0-9 and _")
    targets = {
        "server": fleet_dir / name,
        "tests": fleet_dir.parent / "tests" / "servers" / name,
    }
    for folder in targets.values():
        if folder.exists():
            raise ScaffoldError(f"{folder} is there already: choose another name or remove it")
    values = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "Name": "".join(part.capitalize() for part in name.split("_")),
        "PREFIX": name.upper(),
        "port": str(next_free_port(fleet_dir)),
    }
    written: list[Path] = []
    for kind, folder in targets.items():
        folder.mkdir(parents=True)
        for template in sorted((TEMPLATES_DIR / kind).iterdir()):
            path = folder / template.name.removesuffix(".tmpl")
            text = Template(template.read_text(encoding="utf-8")).substitute(values)
            path.write_text(_with_sorted_imports(text), encoding="utf-8")
            written.append(path)
    _add_to_index(fleet_dir / "README.md", values)
    return written


def next_free_port(fleet_dir: Path = FLEET_DIR) -> int:
    """The lowest port from 9101 that no manifest has."""
    taken = {manifest.port for manifest in all_manifests(fleet_dir)}
    return next(port for port in range(FIRST_PORT, 65536) if port not in taken)


def _with_sorted_imports(text: str) -> str:
    """The text with its own imports in order: where `servers.kit` stands depends on the name."""
    own = re.compile(r"(?:^from servers\..*\n)+", re.MULTILINE)
    return own.sub(lambda block: "".join(sorted(block[0].splitlines(keepends=True))), text)


def _add_to_index(readme: Path, values: dict[str, str]) -> None:
    """Puts the new server's row under the last row of the table of servers."""
    lines = readme.read_text(encoding="utf-8").splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if line.startswith("| ["))
    row = Template("| [$name]($name/README.md) | $port | reads entries |\n").substitute(values)
    readme.write_text("".join([*lines[: last + 1], row, *lines[last + 1 :]]), encoding="utf-8")
