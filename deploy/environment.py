"""Makes `.venv` agree with the lock files; costs nothing when it already does.

    python3 deploy/environment.py [runtime | tests | node]

Runs under any Python 3 so that it can say what is wrong with an old one. Everything comes from
hashed locks: first uv by pip, then the rest by uv, or by pip where uv cannot work.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".installed"
LOCKS = {
    "runtime": ROOT / "requirements.lock",
    "tests": ROOT / "tests" / "requirements.lock",
    "node": ROOT / "frontend" / "requirements.lock",
}
INSTALLER_LOCK = ROOT / "deploy" / "requirements.lock"
PIP_INSTALL = [PYTHON, "-m", "pip", "install", "-q", "--require-hashes", "-r"]
OLDEST = (3, 11)
CANDIDATES = ["python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"]
PROBE = f"import sys; sys.exit(sys.version_info < {OLDEST})"


def main(wanted):
    """Bring the environment up to `wanted`; the tests' environment also serves as the runtime."""
    with (ROOT / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once must not install into each other
        if wanted == "node":
            install("node")
        else:
            update("tests" if installed().startswith("tests ") else wanted)


def update(level):
    """Create or synchronise `.venv` unless its stamp says that nothing changed."""
    if installed() == key(level) and works(PYTHON):
        return
    started = time.monotonic()
    if not works(PYTHON):
        create()
    with contextlib.suppress(FileNotFoundError):
        STAMP.unlink()
    install(level)
    STAMP.write_text(key(level))
    say(f"environment ready in {time.monotonic() - started:.1f} s")


def installed():
    """What the stamp says is in `.venv`, or an empty text."""
    try:
        return STAMP.read_text()
    except OSError:
        return ""


def key(level):
    """The stamp of `level` with its lock as it is now."""
    return f"{level} {hashlib.sha256(LOCKS[level].read_bytes()).hexdigest()}"


def works(python):
    """Whether `python` starts and is new enough."""
    try:
        return (
            subprocess.call([str(python), "-I", "-S", "-c", PROBE], stderr=subprocess.DEVNULL) == 0
        )
    except OSError:
        return False


def create():
    """Make an empty `.venv` with pip in it."""
    python = next(filter(works, filter(shutil.which, CANDIDATES)), None)
    if python is None:
        names = ", ".join(CANDIDATES)
        sys.exit(f"Flotilla needs Python 3.11 or newer; none of {names} is. Install one, repeat.")
    if subprocess.call([python, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL) != 0:
        install_venv_module(python)
    say("creating .venv")
    subprocess.check_call([python, "-m", "venv", "--clear", str(VENV)])


def install_venv_module(python):
    """Debian splits `venv` off from Python; fetch it where we may, else say how."""
    show_version = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.check_output([python, "-c", show_version]).decode().strip()
    package = f"python{version}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"{python} lacks `venv` or `ensurepip`: install {package}, then repeat.")
    subprocess.check_call(["apt-get", "update", "-qq"])
    subprocess.check_call(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])


def install(level):
    """Put what the lock of `level` names into `.venv`; all but Node also take out the rest."""
    name = LOCKS[level].relative_to(ROOT)
    say(f"installing from {name}")
    action = ["install", "-r"] if level == "node" else ["sync", "--compile-bytecode"]
    uv = [VENV / "bin" / "uv", "pip", *action, LOCKS[level], "--require-hashes", "-q"]
    environment = {"UV_LINK_MODE": "copy", **os.environ, "VIRTUAL_ENV": str(VENV)}
    if subprocess.call([*PIP_INSTALL, INSTALLER_LOCK]) == 0:
        if subprocess.call(uv, env=environment) == 0:
            return
        say("uv could not install; trying pip")
    if subprocess.call([*PIP_INSTALL, LOCKS[level]]) != 0:
        sys.exit(f"Could not install {name}: see above. Is a package registry within reach?")


def say(text):
    """Print one line of progress."""
    print("-- " + text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:] or ["runtime"])
