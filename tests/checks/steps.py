"""The table of steps behind `make check` and `make test`."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = (sys.executable, "frontend/build.py")
NPM = (*BUILD, "npm", "run", "--silent")
QUIET = ("-q", "--no-header", "-p", "no:cacheprovider")
# Plugins that cost a second at each start. The tests run Schemathesis as a program of its own.
PYTEST = (sys.executable, "-m", "pytest", *QUIET, "-p", "no:schemathesis")
# For a pytest inside a test, which has no need of this one either.
LIGHT = ("-p", "no:hypothesispytest")
PARALLEL = ("-n", "3", "--dist", "worksteal")
# Faults kill and freeze processes of their own, and each worker with a browser runs a whole house;
# more than two at once would starve them.
PAIR = ("-n", "2", "--dist", "worksteal")
# Playwright keeps an event loop running, which asyncio tests in the same process refuse.
BROWSER = "tests/e2e"
REST = ("--ignore=tests/benchmarks", f"--ignore={BROWSER}")


@dataclass(frozen=True)
class Step:
    """One command; `proof` is what its output must show, or it counts as having done nothing."""

    name: str
    command: tuple[str, ...]
    proof: str = ""
    environment: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def shown(self) -> str:
        """The command as a person would type it."""
        words = [".venv/bin/python" if word == sys.executable else word for word in self.command]
        return " ".join(f"'{word}'" if " " in word else word for word in words)


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """A command that runs an installed module; the scripts in `.venv/bin` break when it moves."""
    return (sys.executable, "-m", module, *arguments)


# import-linter offers no `python -m`.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as run; run()"
FLOORS = (sys.executable, "-c", LINT_IMPORTS, "--no-logo")

INSTALL = (
    Step("front-end modules", (*BUILD, "modules")),
    Step("Node test modules", (*BUILD, "modules", "tests/node")),
    Step("browser", python("tests.checks.browser"), r"^/"),
)

BUILT = (Step("page", BUILD),)

STATIC = (
    Step("format", python("ruff", "format", "--check", "."), r"\d files? already formatted"),
    Step("lint", python("ruff", "check", "."), r"All checks passed!\n(?!.*No Python files)"),
    Step("size", python("loq"), r"[1-9]\d* files ok"),
    Step("floors", FLOORS, r"[1-9]\d* kept, 0 broken"),
    Step(
        "types",
        python("pyright", "--stats"),
        r"Found [1-9]\d* source files",
        {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    ),
    Step("dependencies", python("deptry", "."), r"Scanning [1-9]\d* files"),
    Step("front-end format and lint", (*NPM, "lint"), r"Checked [1-9]\d* files"),
    Step("front-end types", (*NPM, "check"), r"found 0 errors and 0 warnings"),
    Step("front-end API types", (*NPM, "types:check")),
    Step("front-end tests", (*NPM, "test"), r"Tests +[1-9]\d* passed"),
    Step("page size", (*NPM, "check:size")),
)

TESTS = (
    Step("tests", (*PYTEST, *PARALLEL, *REST, "-m", "not (fault or long)")),
    # Timing counts in these two, so they run apart from the others.
    Step("fault tests", (*PYTEST, *PAIR, *REST, "-m", "fault and not long")),
    Step("browser tests", (*PYTEST, *PAIR, BROWSER, "-m", "not long")),
)
