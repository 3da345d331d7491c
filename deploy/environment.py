"""Makes `.venv` agree with the lock files; costs nothing when it already does.

    python3 deploy/environment.py installer   an empty .venv with uv
    python3 deploy/environment.py runtime     what Flotilla needs to run, and Flotilla itself
    python3 deploy/environment.py tests       the same and the tools of the tests
    python3 deploy/environment.py node        Node, in .venv/node

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
PROJECT = ROOT / "pyproject.toml"
LOCKS = {
    "installer": ROOT / "deploy" / "requirements.lock",
    "runtime": ROOT / "requirements.lock",
    "tests": ROOT / "tests" / "requirements.lock",
    "node": ROOT / "frontend" / "requirements.lock",
}
PIP = [PYTHON, "-m", "pip", "install", "-q"]
UV = [VENV / "bin" / "uv", "pip"]
HASHED = ["-q", "--require-hashes"]
ITSELF = ["-q", "--no-deps", "--editable", ROOT]
OLDEST = (3, 11)
CANDIDATES = ["python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"]
PROBE = f"import sys; sys.exit(sys.version_info < {OLDEST})"


def main(wanted):
    """Bring the environment up to `wanted`."""
    with alone(LOCKS["installer"]):
        prepare()
    if wanted == "node":
        with alone(LOCKS["node"]):
            install_node()
    elif wanted != "installer":
        with alone(PROJECT):
            synchronise(wanted)


@contextlib.contextmanager
def alone(file):
    """Hold a lock on `file`: two `make` at once must not install into each other."""
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def prepare():
    """Make an empty environment with uv in it, where there is none."""
    stamp = Stamp("installer", LOCKS["installer"])
    if not works(PYTHON):
        create()
    if not stamp.is_current() and succeeds(*PIP, *HASHED, "-r", LOCKS["installer"]):
        stamp.write()


def synchronise(wanted):
    """Install and remove until `.venv` is as locked; one for tests also serves as the runtime."""
    level = "tests" if Stamp("tests").exists() else wanted
    stamp = Stamp(level, LOCKS[level], PROJECT)
    if stamp.is_current():
        return
    started = time.monotonic()
    say(f"installing from {LOCKS[level].relative_to(ROOT)}")
    uv_can = succeeds(*UV, "sync", *HASHED, "--compile-bytecode", LOCKS[level])
    if not (uv_can and succeeds(*UV, "install", *ITSELF)):
        say("uv could not install; trying pip")
        require(*PIP, *HASHED, "-r", LOCKS[level])
        require(*PIP, *ITSELF)
    stamp.write()
    say(f"environment ready in {time.monotonic() - started:.1f} s")


def install_node():
    """Unpack Node beside the packages, out of the way of their synchronisation."""
    stamp = Stamp("node", LOCKS["node"])
    if stamp.is_current():
        return
    say("installing Node")
    words = [*HASHED, "--target", VENV / "node", "-r", LOCKS["node"]]
    if not succeeds(*UV, "install", *words):
        require(*PIP, *words)
    stamp.write()


class Stamp:
    """Remembers in `.venv` what something was made from."""

    def __init__(self, name, *sources):
        self.file = VENV / f".{name}.stamp"
        self.sources = sources

    def exists(self):
        return self.file.exists()

    def is_current(self):
        return self.exists() and self.file.read_text() == self.content()

    def write(self):
        self.file.write_text(self.content())

    def content(self):
        return hashlib.sha256(b"".join(file.read_bytes() for file in self.sources)).hexdigest()


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


def require(*command):
    """Run `command` or give up."""
    if not succeeds(*command):
        sys.exit("Installing failed, see above. Is a package registry within reach?")


def succeeds(*command):
    """Whether `command` could be started and ended well."""
    try:
        return subprocess.call(command, env={**os.environ, "VIRTUAL_ENV": str(VENV)}) == 0
    except OSError:
        return False


def say(text):
    """Print one line of progress."""
    print("-- " + text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:] or ["runtime"])
