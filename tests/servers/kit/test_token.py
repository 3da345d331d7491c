"""Where a server's token comes from, and who makes it."""

import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.token import TokenError, server_token

GIVEN = "g" * 43
NO_SYSTEMD = SystemdSettings()


def settings(data_dir: Path, token: str | None = None) -> KitSettings:
    return KitSettings.model_validate({"data_dir": data_dir, "server_token": token})


def test_a_missing_token_is_made_for_its_owner_only(tmp_path: Path) -> None:
    token = server_token("notes", settings(tmp_path), NO_SYSTEMD)
    path = tmp_path / "tokens" / "notes"

    assert len(token) == 43
    assert path.read_text(encoding="ascii") == token
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_each_server_has_its_own_token_and_keeps_it(tmp_path: Path) -> None:
    first = server_token("notes", settings(tmp_path), NO_SYSTEMD)

    assert server_token("notes", settings(tmp_path), NO_SYSTEMD) == first
    assert server_token("mail", settings(tmp_path), NO_SYSTEMD) != first


def test_all_who_start_at_once_get_the_same_token(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    tokens: list[str] = []

    def start() -> None:
        barrier.wait()
        tokens.append(server_token("notes", settings(tmp_path), NO_SYSTEMD))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(tokens) == 8
    assert len(set(tokens)) == 1


def test_a_token_of_another_program_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "tokens" / "notes"
    path.parent.mkdir()
    path.write_text(f"{GIVEN}\n", encoding="ascii")
    path.chmod(0o600)

    assert server_token("notes", settings(tmp_path), NO_SYSTEMD) == GIVEN


def test_the_environment_goes_before_the_credential_and_that_before_the_file(
    tmp_path: Path,
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "server_token").write_text("c" * 43, encoding="ascii")
    systemd = SystemdSettings(credentials_directory=credentials)

    assert server_token("notes", settings(tmp_path, GIVEN), systemd) == GIVEN
    assert server_token("notes", settings(tmp_path), systemd) == "c" * 43
    assert not (tmp_path / "tokens").exists()


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    server_token("notes", settings(tmp_path), NO_SYSTEMD)
    (tmp_path / "tokens" / "notes").chmod(0o644)

    with pytest.raises(TokenError, match="run `chmod 600"):
        server_token("notes", settings(tmp_path), NO_SYSTEMD)


def test_a_file_that_holds_no_token_is_refused(tmp_path: Path) -> None:
    server_token("notes", settings(tmp_path), NO_SYSTEMD)
    (tmp_path / "tokens" / "notes").write_text("short", encoding="ascii")

    with pytest.raises(TokenError, match="delete the file"):
        server_token("notes", settings(tmp_path), NO_SYSTEMD)


def test_a_short_token_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOTILLA_SERVER_TOKEN", "short")

    with pytest.raises(ValidationError, match="server_token"):
        KitSettings()
