"""`python -m servers login`, `accounts` and `logout`, as a person uses them."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests import warm
from tests.fakes.google import FakeGoogle
from tests.fakes.sign_in import ANNA, clicked
from tests.warm import ROOT

SERVER = "gmail"
BROWSER = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1]).read().decode(), file=open(sys.argv[2], "w"))
"""


@dataclass
class Terminal:
    """Where a person types commands."""

    environment: Mapping[str, str]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command that has ended; nothing is typed into it."""
        return warm.run(
            [sys.executable, "-m", "servers", *command],
            cwd=ROOT,
            environment={**self.environment, **environment},
            timeout_s=30,
        )

    def log_in(self) -> subprocess.CompletedProcess[str]:
        """A login whose address is opened in a browser by hand."""
        command = [sys.executable, "-m", "servers", "login", SERVER, "--no-browser"]
        process = warm.spawn(command, cwd=ROOT, environment=self.environment)
        assert process.stdout is not None
        with process.stdout as output:
            clicked(address_in(output))
            rest = output.read()
        return subprocess.CompletedProcess(command, process.wait(30), rest)


@pytest.fixture
def terminal(tmp_path: Path, google: FakeGoogle) -> Terminal:
    desktop = {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"}
    kept = {name: value for name, value in os.environ.items() if name not in desktop}
    folders = {
        "FLOTILLA_DATA_DIR": str(tmp_path),
        "FLOTILLA_VAULT_KEY_FILE": str(tmp_path / "vault.key"),
    }
    return Terminal({**kept, **google.environment, **folders})


def address_in(output: Iterable[str]) -> str:
    """The address that a login prints."""
    said: list[str] = []
    for line in output:
        if line.startswith("  http"):
            return line.strip()
        said.append(line)
    raise AssertionError("".join(said))


def test_a_browser_signs_in_and_the_terminal_says_until_when(
    terminal: Terminal, tmp_path: Path, google: FakeGoogle
) -> None:
    google.oauth.is_testing = True
    script, page = tmp_path / "browser.py", tmp_path / "page.txt"
    script.write_text(BROWSER, encoding="utf-8")

    browser = f"{sys.executable} -S {script} %s {page}"
    login = terminal.run("login", SERVER, "--account", ANNA, BROWSER=browser)
    accounts = terminal.run("accounts", SERVER)

    assert (login.returncode, login.stderr) == (0, "")
    assert "Signed in as anna@example.org. Gmail may: read." in login.stdout
    assert "It works until 20" in login.stdout
    assert "Google ends the sign-ins of a consent screen in Testing after 7" in login.stdout
    assert accounts.stdout.startswith("* anna@example.org  works until 20")
    assert accounts.stdout.endswith("(read)\n")
    assert google.oauth.count("exchange") == 1


def test_what_a_person_pastes_signs_in(terminal: Terminal, google: FakeGoogle) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "servers", "login", SERVER, "--no-browser"],
        cwd=ROOT,
        env=dict(terminal.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = address_in(process.stdout)
    # The browser of another machine ends at a page that is not there, and shows its address.
    address = httpx2.get(url, trust_env=False).headers["location"]
    said, errors = process.communicate(f"{url}\n\n{address}\n", timeout=30)

    assert process.returncode == 0
    assert said.splitlines()[-1] == "Signed in as anna@example.org. Gmail may: read."
    assert errors == "This is not the address a sign-in comes back to: state or code lack.\n"


def test_an_account_is_signed_in_without_an_input_and_signed_out(
    terminal: Terminal, google: FakeGoogle
) -> None:
    login = terminal.log_in()
    logout = terminal.run("logout", SERVER, ANNA)
    accounts = terminal.run("accounts", SERVER)

    assert (login.returncode, logout.returncode) == (0, 0)
    assert login.stdout.endswith("Signed in as anna@example.org. Gmail may: read.\n")
    assert logout.stdout.startswith("anna@example.org is signed out, and Google has ended")
    assert accounts.stdout == f"Nobody has signed in. `python -m servers login {SERVER}` does.\n"
    assert google.oauth.count("revoke") == 1


def test_a_person_who_says_no_gets_one_line(terminal: Terminal, google: FakeGoogle) -> None:
    google.oauth.is_denied = True
    login = terminal.log_in()

    assert login.returncode == 1
    assert login.stdout.splitlines()[-1] == (
        "error: It was not permitted at Google, so nothing was kept."
    )


@pytest.mark.parametrize(
    ("command", "environment", "says"),
    [
        (["login", SERVER], {"GOOGLE_OAUTH_CLIENT_ID": ""}, "belong together"),
        (["login", SERVER, "--capability", "fly"], {}, "There is no capability 'fly'"),
        (["login", "nothing"], {}, "there is no manifest"),
        (["login", "calculator"], {}, "calculator works without an account"),
        (["logout", SERVER, "eve@x.org"], {}, "Nobody signed in to eve@x.org here"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    terminal: Terminal, command: list[str], environment: dict[str, str], says: str
) -> None:
    failed = terminal.run(*command, **environment)

    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert says in failed.stderr
    assert failed.stderr.count("\n") == 1
