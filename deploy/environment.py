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
PIP = [PYTHON, "-m", "pip", "install", "-q"]
PROJECT = ["--no-deps", "--editable", ROOT]
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
    """The stamp of `level` with its lock and the project as they are now."""
    content = LOCKS[level].read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return f"{level} {hashlib.sha256(content).hexdigest()}"


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
    """Put what the lock of `level` names into `.venv`, and the project itself."""
    say(f"installing from {LOCKS[level].relative_to(ROOT)}")
    locks = [LOCKS[level]]
    if (VENV / "bin" / "node").exists() and level != "node":
        locks.append(LOCKS["node"])  # or the synchronisation takes it out
    if not (install_with_uv(level, locks) or install_with_pip(locks)):
        sys.exit("Installing failed, see above. Is a package registry within reach?")


def install_with_uv(level, locks):
    """Whether uv, itself installed by pip, could make `.venv` hold just what `locks` name."""
    if not succeeds(*PIP, "--require-hashes", "-r", INSTALLER_LOCK):
        return False
    uv = [VENV / "bin" / "uv", "pip"]
    if level == "node":
        return succeeds(*uv, "install", "-q", "--require-hashes", "-r", *locks)
    return succeeds(*uv, "sync", "-q", "--require-hashes", "--compile-bytecode", *locks) and (
        succeeds(*uv, "install", "-q", *PROJECT)
    )


def install_with_pip(locks):
    """Whether pip could install what `locks` name; slower, and it leaves the rest as it was."""
    say("uv could not install; trying pip")
    named = [word for lock in locks for word in ("-r", lock)]
    return succeeds(*PIP, "--require-hashes", *named) and succeeds(*PIP, *PROJECT)


def succeeds(*command):
    """Whether `command` ends well."""
    environment = {"UV_LINK_MODE": "copy", **os.environ, "VIRTUAL_ENV": str(VENV)}
    return subprocess.call(command, env=environment) == 0


def say(text):
    """Print one line of progress."""
    print("-- " + text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:] or ["runtime"])
