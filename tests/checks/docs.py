"""Keeps what is generated in the documents current: `python -m tests.checks.docs [--write]`."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.cli.env_example import example_env
from tests.checks import openapi
from tests.checks.tables import BUILDERS
from tests.processes import ROOT

BLOCK = re.compile(
    r"(<!-- generated: ([a-z-]+)(?: ([a-z_]+))? -->\n).*?(<!-- /generated -->)", re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
FOREIGN = {".venv", ".venv-redteam", "node_modules", "corpus", "dist", "templates"}


def documents() -> Iterator[Path]:
    """Every Markdown file of ours."""
    for path in sorted(ROOT.rglob("*.md")):
        if not FOREIGN & set(path.relative_to(ROOT).parts):
            yield path


def renewed(text: str) -> str:
    """`text` with every generated block as it should be. Raises KeyError on an unknown block."""

    def fill(block: re.Match[str]) -> str:
        arguments = (block[3],) if block[3] else ()
        return f"{block[1]}{BUILDERS[block[2]](*arguments)}{block[4]}"

    return BLOCK.sub(fill, text)


def wanted() -> dict[Path, str]:
    """Every file with generated content, as it should be."""
    files = {
        path: renewed(path.read_text()) for path in documents() if BLOCK.search(path.read_text())
    }
    files[ROOT / ".env.example"] = example_env()
    files[openapi.FILE] = openapi.text(openapi.document())
    return files


def stale() -> list[Path]:
    """The files that are not as they should be."""
    return [
        path for path, text in wanted().items() if not path.exists() or path.read_text() != text
    ]


def missing(names: Iterable[str], *documents: Path) -> list[str]:
    """The names that none of the documents holds as code."""
    text = "".join(path.read_text() for path in documents)
    return [name for name in names if f"`{name}`" not in text]


def broken_links(path: Path) -> list[str]:
    """The links of a document that lead nowhere inside this tree."""
    broken: list[str] = []
    for target in LINK.findall(without_code(path.read_text())):
        file, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        destination = (path.parent / file).resolve() if file else path
        if not destination.exists() or (anchor and anchor not in anchors(destination)):
            broken.append(target)
    return broken


def without_code(text: str) -> str:
    """`text` without fenced blocks and code spans, where brackets mean something else."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors a reader on GitHub gets from the headings."""
    headings = HEADING.findall(path.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main(arguments: list[str]) -> int:
    """Name the stale files, or write them; returns an exit code."""
    files = stale()
    for path in files:
        print(path.relative_to(ROOT))
    if arguments != ["--write"]:
        return int(bool(files))
    for path in files:
        path.write_text(wanted()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
