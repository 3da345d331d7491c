"""Plants one fault for each check in a copy of the tree: a check that lets it pass is dead."""

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks import docs, openapi
from tests.checks.steps import LIGHT, PYTEST, STATIC
from tests.processes import ROOT

STEPS = {step.name: step for step in STATIC}
NEVER_COPIED = shutil.ignore_patterns("__pycache__", "node_modules", "dist", "*.db")
TIMEOUT_S = 50

IMPORTS = {
    "orchestrator/domain/canary.py": "import orchestrator.store.schema\nimport httpx2\n",
    "orchestrator/llm/canary.py": "import orchestrator.tools\n",
    "orchestrator/chat/canary.py": "import servers.kit\n",
    "orchestrator/canary.py": "",
    "servers/canary/__init__.py": "",
    "servers/canary/server.py": "import servers.calculator\n",
    "servers/canary/models.py": "import servers.canary.server\nimport httpx2\n",
    "servers/kit/canary.py": "import servers.calculator\n",
}
FOUND_IMPORTS = [
    "orchestrator.domain.canary -> orchestrator.store.schema",
    "orchestrator.llm.canary -> orchestrator.tools",
    "- orchestrator.canary",
    "orchestrator.chat.canary -> servers.kit",
    "servers.canary.server -> servers.calculator",
    "servers.kit.canary -> servers.calculator",
    "servers.canary.models -> servers.canary.server",
    "orchestrator.domain.canary -> httpx2",
    "servers.canary.models -> httpx2",
]
LONG = '"""Long."""\n' + "X = 1\n" * 300
PYTHON_FAULTS = [
    ("format", "orchestrator/canary.py", "X  =  1\n", "orchestrator/canary.py"),
    ("lint", "orchestrator/canary.py", '"""A."""\n\nimport os\n', "F401"),
    ("lint", "servers/canary.py", '"""A."""\n\nfrom .kit import paging\n', "TID252"),
    ("lint", "servers/canary.py", '"""A."""\n\nimport httpx\n\nhttpx.get("a")\n', "TID251"),
    ("size", "orchestrator/canary.py", LONG, r"301.*orchestrator/canary\.py"),
    ("size", "tests/canary.py", LONG + "X = 1\n" * 200, r"501.*tests/canary\.py"),
    ("size", "frontend/src/canary.ts", "let x;\n" * 301, r"301.*frontend/src/canary\.ts"),
    ("dependencies", "servers/canary.py", "import yaml\n", "canary.py.*DEP003 'yaml'"),
    ("dependencies", "servers/canary.py", "import pytest\n", "canary.py.*DEP004 'pytest'"),
]


def copy_of_tree(copy: Path) -> Path:
    """Fill a folder with our sources."""
    for name in ("orchestrator", "servers", "frontend"):
        shutil.copytree(ROOT / name, copy / name, ignore=NEVER_COPIED)
    for name in ("pyproject.toml", "loq.toml"):
        shutil.copy(ROOT / name, copy)
    for name in (".venv", "frontend/node_modules"):
        (copy / name).symlink_to(ROOT / name)
    return copy


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_tree(tmp_path_factory.mktemp("tree"))


class Garden:
    """The copied tree, into which a test plants files that go away after it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._before: dict[Path, str | None] = {}

    def plant(self, name: str, text: str) -> None:
        path = self.root / name
        self._before.setdefault(path, path.read_text() if path.exists() else None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def clear(self) -> None:
        for path, text in self._before.items():
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def failure(self, command: tuple[str, ...]) -> str:
        """What the command prints; it has to fail."""
        run = subprocess.run(
            command,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert run.returncode != 0, f"passed in spite of the fault:\n{run.stdout}"
        return re.sub(r"\x1b\[[0-9;]*m", "", run.stdout)


@pytest.fixture
def garden(tree: Path) -> Iterator[Garden]:
    garden = Garden(tree)
    yield garden
    garden.clear()


@pytest.mark.parametrize(("check", "file", "fault", "finding"), PYTHON_FAULTS)
def test_a_fault_is_found(check: str, file: str, fault: str, finding: str, garden: Garden):
    garden.plant(file, fault)
    assert re.search(finding, garden.failure(STEPS[check].command))


def test_every_wrong_import_is_found(garden: Garden):
    for file, text in IMPORTS.items():
        garden.plant(file, text)
    output = garden.failure(STEPS["floors"].command)
    assert "0 kept" in output
    assert [chain for chain in FOUND_IMPORTS if chain not in output] == []


def test_a_wrong_type_is_found(garden: Garden):
    garden.plant("orchestrator/canary.py", "def double(n):\n    return n * 2\n")
    output = garden.failure((*STEPS["types"].command, "orchestrator/canary.py"))
    assert "reportMissingParameterType" in output


def test_a_warning_fails_a_test(garden: Garden):
    garden.plant(
        "tests/test_canary.py", "import warnings\n\n\ndef test_it():\n    warnings.warn('x')\n"
    )
    assert "UserWarning: x" in garden.failure((*PYTEST, *LIGHT, "tests/test_canary.py"))


def test_a_coroutine_nobody_awaits_fails_a_test(garden: Garden):
    garden.plant("tests/test_canary.py", "async def f(): ...\n\n\ndef test_it():\n    f()\n")
    assert "never awaited" in garden.failure((*PYTEST, *LIGHT, "tests/test_canary.py"))


def test_an_old_openapi_document_is_found(tmp_path: Path):
    old = openapi.document()
    old["paths"].popitem()
    (tmp_path / "openapi.json").write_text(openapi.text(old))
    assert not openapi.is_current(tmp_path / "openapi.json")


def test_an_old_table_in_a_document_is_found():
    old = "<!-- generated: errors -->\n| Error |\n<!-- /generated -->\n"
    assert docs.renewed(old) != old


def test_a_name_no_document_holds_is_found(tmp_path: Path):
    (tmp_path / "README.md").write_text("`one`\n")
    assert docs.missing(["one", "two"], tmp_path / "README.md") == ["two"]


def test_a_link_to_nowhere_is_found(tmp_path: Path):
    text = "# Here\n[a](#here) [b](#there) [c](README.md) [d](gone.md) `[e](x)`\n"
    (tmp_path / "README.md").write_text(text)
    assert docs.broken_links(tmp_path / "README.md") == ["#there", "gone.md"]


@pytest.mark.node
def test_a_wrong_type_in_the_front_end_is_found(tmp_path: Path):
    garden = Garden(copy_of_tree(tmp_path))
    garden.plant("frontend/src/canary.ts", "export const n: number = 'text';\n")
    garden.plant("frontend/src/Canary.svelte", '<script lang="ts">let n: number = "b";</script>{n}')
    for folder in ("lib", "routes"):  # the rest would only cost time
        shutil.rmtree(garden.root / "frontend" / "src" / folder)
    output = garden.failure(STEPS["front-end types"].command)
    assert "canary.ts" in output
    assert "Canary.svelte" in output


@pytest.mark.node
@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("export const a: any = 1;\n", "noExplicitAny"),
        ("export function f() {\n\tconst a = 1;\n}\n", "noUnusedVariables"),
        ("export const a   = 1;\n", "format"),
    ],
)
def test_a_fault_in_the_front_end_is_found(fault: str, finding: str, garden: Garden):
    garden.plant("frontend/src/canary.ts", fault)
    assert finding in garden.failure(STEPS["front-end format and lint"].command)


@pytest.mark.node
def test_a_failing_front_end_test_is_found(garden: Garden):
    test = "import { expect, test } from 'vitest';\n\ntest('no', () => expect(1).toBe(2));\n"
    garden.plant("frontend/tests/canary.test.ts", test)
    assert "1 failed" in garden.failure((*STEPS["front-end tests"].command, "--", "canary"))


@pytest.mark.node
def test_html_written_by_a_third_component_is_found(garden: Garden):
    garden.plant("frontend/src/lib/ui/Canary.svelte", "{@html '<b>'}\n")
    output = garden.failure((*STEPS["front-end tests"].command, "--", "rules"))
    assert "lib/ui/Canary.svelte" in output


@pytest.mark.node
def test_old_types_of_the_api_are_found(garden: Garden):
    document = openapi.document()
    document["components"]["schemas"]["Canary"] = {"type": "string"}
    garden.plant("frontend/openapi.json", openapi.text(document))
    assert "types.gen.ts differs" in garden.failure(STEPS["front-end API types"].command)


@pytest.mark.node
def test_a_page_that_grew_too_big_is_found(garden: Garden):
    files = {
        "index.html": "a.js",
        "src/lib/md/renderer.ts": "b.js",
        "src/lib/md/highlight.ts": "c.js",
    }
    manifest = {entry: {"file": f"assets/{file}"} for entry, file in files.items()}
    garden.plant("frontend/dist/.vite/manifest.json", json.dumps(manifest))
    for file in files.values():
        garden.plant(f"frontend/dist/assets/{file}", secrets.token_hex(100_000))
    assert re.search(r"shell .* over 45", garden.failure(STEPS["page size"].command))
