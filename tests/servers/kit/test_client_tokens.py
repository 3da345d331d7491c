"""The file with the tokens of a server's clients, and who is known by it."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servers.kit.client_tokens import (
    add_client_token,
    client_tokens_file,
    read_client_tokens,
    revoke_client_token,
)
from servers.kit.clients import LOOK_EVERY_S, Clients
from servers.kit.token import TokenError


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / client_tokens_file("notes")


def test_a_token_is_kept_as_its_digest_for_its_owner_only(path: Path) -> None:
    token, text = add_client_token(path, name=" Claude Desktop ", scope="read")

    assert read_client_tokens(path) == (token,)
    assert (token.name, token.scope) == ("Claude Desktop", "read")
    assert len(text) >= 43
    assert text not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_revoked_token_is_nowhere_any_more(path: Path) -> None:
    gone, _ = add_client_token(path, name="one", scope="read")
    kept, _ = add_client_token(path, name="two", scope="full")

    assert revoke_client_token(path, gone.id) == gone
    assert read_client_tokens(path) == (kept,)
    assert not [file for file in path.parent.iterdir() if gone.sha256 in file.read_text()]
    with pytest.raises(TokenError, match="there is no token"):
        revoke_client_token(path, gone.id)


def test_all_who_change_the_file_at_once_lose_no_token(path: Path) -> None:
    gone, _ = add_client_token(path, name="gone", scope="full")
    with ThreadPoolExecutor(8) as pool:
        made = [
            pool.submit(add_client_token, path, name=f"client {n}", scope="read") for n in range(16)
        ]
        pool.submit(revoke_client_token, path, gone.id).result()

    assert {token.id for token in read_client_tokens(path)} == {one.result()[0].id for one in made}


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_a_name_that_cannot_be_shown_is_refused(path: Path, name: str) -> None:
    with pytest.raises(TokenError, match="1 to 100 printable"):
        add_client_token(path, name=name, scope="read")

    assert not path.exists()


def test_a_known_token_is_known_and_no_other(path: Path) -> None:
    token, text = add_client_token(path, name="one", scope="read")
    clients = Clients(path, Clock())

    caller = clients.caller(text.encode())

    assert caller is not None
    assert (caller.token_id, caller.name, caller.is_read_only) == (token.id, "one", True)
    assert clients.caller(text[:-1].encode()) is None
    assert clients.caller(token.sha256.encode()) is None
    assert clients.caller(b"") is None


def test_a_new_token_is_known_at_once_and_a_revoked_one_for_a_second_at_most(path: Path) -> None:
    clock = Clock()
    clients = Clients(path, clock)
    assert clients.caller(b"unknown") is None
    token, text = add_client_token(path, name="one", scope="full")
    caller = clients.caller(text.encode())
    assert caller is not None
    assert not caller.is_read_only

    revoke_client_token(path, token.id)
    clock.now_s += LOOK_EVERY_S

    assert clients.caller(text.encode()) is None


def test_an_unknown_token_ends_revoked_ones_too(path: Path) -> None:
    clients = Clients(path, Clock())
    token, text = add_client_token(path, name="one", scope="full")
    assert clients.caller(text.encode()) is not None
    revoke_client_token(path, token.id)

    assert clients.caller(b"unknown") is None
    assert clients.caller(text.encode()) is None


@pytest.mark.parametrize("damage", ["garbage", "readable by all", "gone"])
def test_a_file_that_cannot_be_used_lets_nobody_in(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    clients = Clients(path, clock)
    _, text = add_client_token(path, name="one", scope="full")
    assert clients.caller(text.encode()) is not None
    match damage:
        case "garbage":
            path.write_text('{"version": 1, "tokens": [{', encoding="utf-8")
        case "readable by all":
            path.chmod(0o644)
        case _:
            path.unlink()
    clock.now_s += LOOK_EVERY_S

    assert clients.caller(text.encode()) is None
    assert clients.caller(text.encode()) is None
    said = [record for record in caplog.records if "client_tokens_unusable" in record.message]
    assert len(said) == (0 if damage == "gone" else 1)


def test_the_command_line_makes_lists_and_revokes(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "servers", *arguments],
            env={**os.environ, "FLOTILLA_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    made = run("token", "calculator", "--scope", "full", "--name", "Cursor")
    (token,) = read_client_tokens(tmp_path / client_tokens_file("calculator"))
    assert made.stdout.startswith("flc_")
    assert made.stdout.strip() not in made.stderr
    listed = run("tokens", "calculator").stdout
    assert listed.split() == [token.id, "full", token.created_at, "Cursor"]
    assert run("revoke", "calculator", token.id).returncode == 0
    again = run("revoke", "calculator", token.id)
    assert (again.returncode, "there is no token" in again.stderr) == (1, True)
    assert json.loads((tmp_path / client_tokens_file("calculator")).read_text())["tokens"] == []
    assert "cannot be the name" in run("token", "../x").stderr
