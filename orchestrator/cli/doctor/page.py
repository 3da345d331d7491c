"""Check of the built front end."""

import subprocess
import sys

from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.settings import CHECKOUT, Settings

_BUILD = CHECKOUT / "frontend" / "build.py"
_TIMEOUT_S = 5


def front_end(settings: Settings) -> list[Finding]:
    """Look whether the page is there, and made from the sources in this checkout."""
    folder = settings.frontend_dir
    if not (folder / "index.html").is_file():
        return [problem("page", f"It is not built: {folder} has no index.html.", _remedy())]
    is_ours = folder.resolve() == (_BUILD.parent / "dist").resolve()
    if is_ours and _BUILD.exists() and not _is_fresh():
        return [warn("page", "It was built from other sources than are here now.", _remedy())]
    return [ok("page", f"Built, in {folder}.")]


def _is_fresh() -> bool:
    command = [sys.executable, "-I", "-S", str(_BUILD), "check"]
    return subprocess.run(command, check=False, timeout=_TIMEOUT_S).returncode == 0  # noqa: S603 - our own program


def _remedy() -> str:
    return f"python {_BUILD}" if _BUILD.exists() else "flotilla explain FLOTILLA_FRONTEND_DIR"
