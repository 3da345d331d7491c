"""Attacks the policy with AgentDojo: `python -m tests.redteam`, or `make redteam`.

AgentDojo and its many dependencies live in an environment of their own, `.venv-redteam`, which is
made here when it is missing or older than its lock.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "tests" / "redteam" / "requirements.lock"
VENV = ROOT / ".venv-redteam"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".stamp"


def main(arguments: list[str]) -> int:
    """Prepare the environment and run the attacks in it; returns the exit code."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not STAMP.exists() or STAMP.read_text() != wanted:
        print(f"-- installing from {LOCK.relative_to(ROOT)}", flush=True)
        if not install():
            return 1
        STAMP.write_text(wanted)
    return subprocess.call([PYTHON, "-m", "tests.redteam.report", *arguments], cwd=ROOT)


def install() -> bool:
    """Make the environment as locked, by uv or else by pip; returns whether that worked."""
    if not succeeds(sys.executable, "-m", "venv", "--clear", VENV):
        return False
    uv = ROOT / ".venv" / "bin" / "uv"
    return succeeds(uv, "pip", "sync", "-q", "--require-hashes", LOCK) or succeeds(
        PYTHON, "-m", "pip", "install", "-q", "--require-hashes", "-r", LOCK
    )


def succeeds(*command: str | Path) -> bool:
    """Whether a command ended well."""
    return subprocess.call(command, env={**os.environ, "VIRTUAL_ENV": str(VENV)}) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
