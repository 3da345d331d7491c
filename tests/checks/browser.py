"""Finds a Chromium for the browser tests, or installs one: `python -m tests.checks.browser`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")


def chromium() -> str | None:
    """The path of an installed browser."""
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    if on_path:
        return on_path
    return next((str(path) for path in (MAC, _of_playwright()) if path.is_file()), None)


def installed_chromium() -> str:
    """The path of a browser, installed first where none is; exits with advice where that fails."""
    return (
        chromium()
        or _from_packages()
        or _from_playwright()
        or sys.exit("No Chromium: put one on PATH as `chromium` or `google-chrome`, then repeat.")
    )


def _from_packages() -> str | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ("apt-get", "update", "-qq"),
        ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES),
    ):
        subprocess.run(command, env=quiet, stdout=sys.stderr, check=False)
    return chromium()


def _from_playwright() -> str | None:
    command = (sys.executable, "-m", "playwright", "install", "chromium")
    subprocess.run(command, stdout=sys.stderr, check=False)
    return chromium()


def _of_playwright() -> Path:
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)


if __name__ == "__main__":
    print(installed_chromium())
