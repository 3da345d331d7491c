"""The inbox and the audit trail at the terminal."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from orchestrator.domain.approvals import Approval
from orchestrator.store import approvals, standing_approvals
from tests.fakes.audit_trail import TOKEN, AuditTrail, rows, served
from tests.orchestrator.api.doorway import Door
from tests.orchestrator.api.house import owner_of, whole_house
from tests.orchestrator.cli.conftest import CHECKOUT, Terminal
from tests.orchestrator.store.asked import asked, running_turn

LATER_S = 32_000_000_000.0
"""Unix seconds after all rows of the orchestrator, so that these are the newest."""


@pytest.fixture
def trail() -> Iterator[AuditTrail]:
    with served(AuditTrail(rows("mail", LATER_S, LATER_S + 1))) as running:
        yield running


@pytest.fixture
def door(tmp_path: Path, trail: AuditTrail) -> Iterator[Door]:
    tokens = tmp_path / "data" / "tokens"
    tokens.mkdir(parents=True)
    (tokens / "mail").write_text(TOKEN)
    off = {"id": "off", "url": "http://127.0.0.1:9/mcp", "enabled": False, "trust": "fleet"}
    with whole_house(tmp_path, [trail.document("mail"), off]) as running:
        yield running


@pytest.fixture
def terminal(tmp_path: Path, door: Door) -> Terminal:
    return Terminal(tmp_path, port=door.port)


def kept(door: Door, **fields: Any) -> Approval:
    owner_id, database = owner_of(door), door.api.state.database
    session_id, turn_id = door.run(database.write(running_turn, owner_id))
    approval = asked(session_id=session_id, turn_id=turn_id, **fields)
    door.run(database.write(approvals.insert, owner_id, approval))
    return approval


def stored(door: Door, approval: Approval) -> Approval:
    return door.run(door.api.state.database.read(approvals.get, owner_of(door), approval.id))


def at_a_terminal(terminal: Terminal, answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command at a pseudo terminal and answer its question; gives exit code and screen."""
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=terminal.folder,
        env={**terminal.environment, "PYTHONPATH": str(CHECKOUT)},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    screen = b""
    has_answered = False
    while True:
        try:
            shown = os.read(mine, 65_536)
        except OSError:  # Linux says so when the other end is closed.
            break
        screen += shown
        if b"[y/N]" in screen and not has_answered:
            os.write(mine, answer.encode())
            has_answered = True
    os.close(mine)
    return process.wait(20), screen.decode().replace("\r\n", "\n")


def test_approvals_lists_what_waits_readably(terminal: Terminal, door: Door) -> None:
    assert terminal.run("approvals").stdout == "Nothing waits for you.\n"
    arguments = {"to": ["ann@example.org"], "body": "Dear Ann,\n  to: bo\nGrüße", "n": 2}
    first = kept(
        door, arguments=arguments, taint=["mail from eve"], account="me@example.org", undoable=True
    )
    second = kept(door, title="Delete a file", arguments={})
    shown = terminal.run("approvals").stdout
    assert shown.index(first.id) < shown.index(second.id)
    of_first, of_second = shown.split("\n\n")[:2]
    assert of_first.splitlines() == [
        f"{first.id}  Send a message (mail__send)",
        f"  asked by  web chat, at {first.created_at}",
        f"  until     {first.expires_at}",
        "  account   me@example.org",
        "  because   This tool asks before it runs.",
        "  has read  mail from eve",
        "  undo      one click",
        "  runs with",
        '    to: ["ann@example.org"]',
        "    body: Dear Ann,",
        "      |   to: bo",
        "      | Grüße",
        "    n: 2",
    ]
    assert "  undo      cannot be undone\n  runs with\n    no arguments" in of_second


def test_what_others_wrote_cannot_move_the_cursor_or_hide(terminal: Terminal, door: Door) -> None:
    evil = "\x1b[2J\x1b[H\r\u202eharmless\u200b\u2028"
    kept(door, title=evil, client=evil, reason=evil, arguments={f"a{evil}": evil, "l": [evil]})
    shown = terminal.run("approvals").stdout
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e\u2028]", shown)
    assert shown.count(r"\x1b[2J\x1b[H\r\u202eharmless\u200b\u2028") == 5


def test_approve_shows_the_call_and_asks_first(terminal: Terminal, door: Door) -> None:
    approval = kept(door)
    code, screen = at_a_terminal(terminal, "y\n", "approve", approval.id)
    assert code == 0
    assert screen.index("to: ann@example.org") < screen.index("once? [y/N]")
    decided = stored(door, approval)
    assert (decided.state, decided.scope, decided.decided_by) == ("approved", "once", "terminal")
    assert screen.rstrip().endswith(f"It is approved since {decided.decided_at}, by terminal.")


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_no_answer_decides_nothing(terminal: Terminal, door: Door, answer: str) -> None:
    approval = kept(door)
    code, screen = at_a_terminal(terminal, answer, "approve", approval.id)
    assert (code, stored(door, approval).state) == (1, "pending")
    assert "Nothing was decided." in screen


def test_approve_always_lets_the_tool_stand(terminal: Terminal, door: Door) -> None:
    approval = kept(door)
    code, screen = at_a_terminal(terminal, "y\n", "approve", approval.id, "--scope", "always")
    assert (code, "everywhere from now on? [y/N]" in screen) == (0, True)
    database = door.api.state.database
    stands = door.run(database.read(standing_approvals.tools_of, owner_of(door), None))
    assert stands == {"mail__send"}


def test_a_scope_that_cannot_be_is_a_sentence(terminal: Terminal, door: Door) -> None:
    approval = kept(door, level=3)
    code, screen = at_a_terminal(terminal, "y\n", "approve", approval.id, "--scope", "session")
    assert (code, stored(door, approval).state) == (1, "pending")
    assert "level 3 is approved once" in screen


def test_deny_keeps_the_reason(terminal: Terminal, door: Door) -> None:
    approval = kept(door)
    code, _ = at_a_terminal(terminal, "y\n", "deny", approval.id, "--reason", "Not to her.")
    decided = stored(door, approval)
    assert (code, decided.state, decided.decision_reason) == (0, "denied", "Not to her.")
    code, screen = at_a_terminal(terminal, "", "approve", approval.id)
    assert (code, "It is denied since" in screen) == (1, True)


@pytest.mark.parametrize("command", ["approve", "deny"])
def test_a_program_cannot_decide_through_the_command(
    terminal: Terminal, door: Door, command: str
) -> None:
    approval = kept(door)
    shown = terminal.run(command, approval.id)
    assert (shown.returncode, stored(door, approval).state) == (1, "pending")
    assert shown.stderr.startswith("This needs a person at a terminal. A program decides")


def test_an_unknown_id_is_a_sentence(terminal: Terminal) -> None:
    code, screen = at_a_terminal(terminal, "", "approve", "appr_none")
    assert (code, screen) == (1, "There is no approval 'appr_none'.\n")
    code, screen = at_a_terminal(terminal, "", "approve", "../../health")
    assert (code, screen[:20]) == (1, "There is nothing at ")


def test_audit_lists_the_newest_rows_of_all(
    terminal: Terminal, door: Door, trail: AuditTrail
) -> None:
    shown = terminal.run("audit", "--limit", "3").stdout.splitlines()
    assert shown[0].split() == ["at", "source", "actor", "action", "tool", "subject"]
    assert [line.split()[1:6] for line in shown[1:3]] == [
        ["mail", "terminal", "call_done", "mail__send", f"call_mail_{number}"] for number in (1, 0)
    ]
    assert shown[3].split()[1] == "orchestrator"
    trail.rows = [{"position": 1, "hash": ""}]
    assert terminal.run("audit").stderr.endswith("rows may be missing: mail, off.\n")


def test_verify_finds_all_trails_whole(terminal: Terminal, door: Door) -> None:
    shown = terminal.run("audit", "verify")
    assert shown.returncode == 0, shown.stderr
    own, mail, off = shown.stdout.splitlines()
    assert re.fullmatch(r"orchestrator: \d+ rows, nothing changed\.", own)
    assert mail == "mail: 2 rows, nothing changed."
    assert off == "off: is switched off; not checked."


def test_verify_names_the_first_broken_row_of_ours(terminal: Terminal, door: Door) -> None:
    change = text("UPDATE audit SET subject = 'nobody' WHERE position = 2")
    door.run(door.api.state.database.write(lambda conn: conn.execute(change).rowcount))
    shown = terminal.run("audit", "verify")
    assert shown.returncode == 1
    assert "orchestrator: row 2 was changed, or follows one that was removed." in shown.stdout
    assert "mail: 2 rows, nothing changed." in shown.stdout


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda trail: trail.rows[1].update(effects=2), "row 2 was changed, or follows"),
        (lambda trail: trail.rows.pop(0), "row 1 was changed, or follows"),
        (lambda trail: trail.cut(1), "row 2 was changed, or follows"),
        (lambda trail: trail.rows.append({"position": 3}), "cannot be checked: "),
    ],
)
def test_verify_names_the_first_broken_row_of_a_server(
    terminal: Terminal, trail: AuditTrail, change: Any, sentence: str
) -> None:
    change(trail)
    shown = terminal.run("audit", "verify")
    assert shown.returncode == 1
    assert f"mail: {sentence}" in shown.stdout


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda trail: trail.rows.pop(), "it ends with row 1, but row 2 was seen before"),
        (lambda trail: trail.rows.clear(), "it ends with row 0, but row 2 was seen before"),
        (
            lambda trail: trail.rows.__setitem__(slice(None), rows("mail", 1, 2, 3)),
            "row 2 was changed, or follows",
        ),
    ],
)
def test_verify_knows_the_rows_that_a_server_showed_before(
    terminal: Terminal, trail: AuditTrail, change: Any, sentence: str
) -> None:
    assert terminal.run("audit").returncode == 0
    change(trail)
    shown = terminal.run("audit", "verify")
    assert shown.returncode == 1
    assert f"mail: {sentence}" in shown.stdout


def test_verify_needs_nothing_of_ours_to_run(tmp_path: Path, trail: AuditTrail) -> None:
    tokens = tmp_path / "data" / "tokens"
    tokens.mkdir(parents=True)
    (tokens / "mail").write_text(TOKEN)
    with whole_house(tmp_path, [trail.document("mail")]) as door:
        terminal = Terminal(tmp_path, port=door.port)
    shown = terminal.run("audit", "verify")
    assert (shown.returncode, shown.stdout.count("nothing changed")) == (0, 2)
    (tmp_path / "data" / "chat_sessions.db").unlink()
    shown = terminal.run("audit", "verify")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "call this in the folder where Flotilla was started" in shown.stderr
