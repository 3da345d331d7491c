"""`flotilla login` and what `flotilla doctor` says of accounts."""

import json
from datetime import UTC, datetime, timedelta

import httpx2

from tests.fakes.account_server import TOKEN, AccountServer, account, running_accounts
from tests.fakes.google import FakeGoogle
from tests.installation import Installation, running


def diagnosed(terminal):
    findings = json.loads(terminal.run("doctor", "--json").stdout)["findings"]
    return [
        (finding["level"], finding["sentence"], finding["remedy"])
        for finding in findings
        if finding["subject"] == "accounts mail"
    ]


def test_the_doctor_says_who_has_to_sign_in_and_when(terminal):
    with running_accounts(AccountServer("mail")) as mail:
        (terminal.folder / "data" / "tokens").mkdir(parents=True, mode=0o700)
        (terminal.folder / "data" / "tokens" / "mail").write_text(TOKEN)
        installation = Installation(
            terminal.folder, "http://127.0.0.1:9", servers=[mail.document()], port=terminal.port
        )
        with running(installation):
            login = "flotilla login mail"
            assert diagnosed(terminal) == [("warn", "Nobody is signed in to Google.", login)]

            soon = (datetime.now(UTC) + timedelta(hours=47)).isoformat()
            later = (datetime.now(UTC) + timedelta(hours=49)).isoformat()
            ended = {"state": "needs_sign_in", "problem": "Google ended it."}
            mail.accounts = {
                "a@b.c": account("a@b.c", "read", works_until=soon),
                "d@e.f": account("d@e.f", "read", works_until=later),
                "g'@h.i": account("g'@h.i", "read", **ended),
            }
            near, well, over = diagnosed(terminal)
            assert near[0] == "warn"
            assert near[1].startswith("a@b.c: this sign-in ends at ")
            assert well == ("ok", "d@e.f is signed in.", "")
            assert over[:2] == ("problem", "g'@h.i: Google ended it.")
            assert over[2] == login + """ --account 'g'"'"'@h.i'"""

            mail.setup, mail.accounts = "Set GOOGLE_OAUTH_CLIENT_ID.", {}
            assert diagnosed(terminal) == [("warn", mail.setup, "$EDITOR .env")]


def test_a_terminal_signs_in_without_the_orchestrator(terminal):
    with FakeGoogle() as google:
        google.oauth.chosen = "anna@example.org"
        key = terminal.folder / "vault.key"
        terminal.extra = {**google.environment, "FLOTILLA_VAULT_KEY_FILE": str(key)}
        process = terminal.start("login", "google_tasks", "--capability", "read", "--no-browser")
        address = process.read_until(r"^  (http\S+)")[1]
        with httpx2.Client(verify=False, trust_env=False, follow_redirects=True) as browser:
            assert browser.get(address).status_code == 200
        process.read_until(r"Signed in as anna@example\.org")
        assert process.process.wait(20) == 0
        assert (terminal.folder / "data" / "servers" / "google_tasks" / "accounts.db").is_file()


def test_a_server_without_accounts_has_nothing_to_sign_in_to(terminal):
    said = terminal.run("login", "calculator")
    assert (said.returncode, "without an account" in said.stderr) == (1, True)


def test_the_name_of_a_server_is_no_option(terminal):
    said = terminal.run("login", "--", "--no-browser")
    assert said.returncode == 1
    assert "'--no-browser' cannot be the name of a server" in said.stderr
