"""What lies on the disk: nothing in the clear, nothing exchanged, and sentences for what breaks."""

import logging
import shutil
import sqlite3
from pathlib import Path

import pytest

from servers.kit.accounts import Accounts
from servers.kit.accounts.models import SignInUnknown
from servers.kit.accounts.vault import Vault, VaultUnusable
from servers.kit.errors import NotAllowed, SignInRequired, Unavailable
from servers.kit.settings import KitSettings, SystemdSettings
from servers.kit.token import make_secret
from tests.servers.kit.accounts.conftest import (
    ANNA,
    BO,
    RETURN_TO,
    SIGN_IN,
    Desk,
    ToyProvider,
    signed_in,
)


async def test_no_secret_is_in_a_file_or_a_log(
    desk: Desk, toy: ToyProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with desk.opened() as accounts:
        await signed_in(accounts)
        token = await accounts.access(None, "read")
        await accounts.renewed(token, "read")
        begun = await accounts.begin([], redirect_uri=RETURN_TO)
        secrets = [b"SECRET", begun.state.encode(), RETURN_TO.encode()]
        contents = {path.name: path.read_bytes() for path in desk.folder.iterdir()}
    contents |= {path.name: path.read_bytes() for path in desk.folder.iterdir()}

    assert contents["accounts.db-wal"]
    for name, content in contents.items():
        assert not any(secret in content for secret in secrets), name
    assert "signed_in" in caplog.text
    assert not any(secret.decode() in caplog.text for secret in [*secrets, ANNA.encode()])


async def test_the_tokens_of_another_row_are_refused(
    accounts: Accounts, desk: Desk, toy: ToyProvider
) -> None:
    await signed_in(accounts)
    toy.person = BO
    await signed_in(accounts)
    with sqlite3.connect(desk.file) as conn:
        conn.execute("UPDATE accounts SET secret = (SELECT secret FROM accounts LIMIT 1)")
        (copied,) = conn.execute("SELECT account FROM accounts LIMIT 1").fetchone()
    other = BO if copied == ANNA else ANNA

    with pytest.raises(SignInRequired, match="belongs to something else"):
        await accounts.access(other, "read")
    assert (await accounts.access(copied, "read")).account == copied
    states = {account.account: account.state for account in await accounts.listed()}
    assert states == {copied: "ok", other: "needs_sign_in"}


async def test_the_tokens_of_another_server_are_refused(desk: Desk, tmp_path: Path) -> None:
    async with desk.opened() as accounts:
        await signed_in(accounts)
    shutil.copytree(desk.folder, tmp_path / "servers" / "calendar")
    other = Accounts("calendar", SIGN_IN, lambda: desk.provider)
    settings = KitSettings(data_dir=tmp_path, vault_key_file=desk.key_file)
    other.use_settings(settings, SystemdSettings())

    async with other.opened():
        with pytest.raises(SignInRequired, match="belongs to something else"):
            await other.access(None, "read")


async def test_a_lost_key_is_told_and_once_it_is_back_all_works(
    accounts: Accounts, desk: Desk
) -> None:
    await signed_in(accounts)
    away = desk.key_file.rename(desk.key_file.with_name("away"))
    with pytest.raises(SignInRequired, match=r"vault\.key is missing\. Put the right key back"):
        await accounts.access(None, "read")
    (account,) = await accounts.listed()
    assert account.state == "needs_sign_in"
    assert str(account.problem).endswith("Put the right key back, or sign in again.")
    away.rename(desk.key_file)

    assert (await accounts.listed())[0].state == "ok"
    assert (await accounts.access(None, "read")).account == ANNA


async def test_with_a_new_key_one_signs_in_again(
    accounts: Accounts, desk: Desk, toy: ToyProvider
) -> None:
    await signed_in(accounts)
    waiting = await accounts.begin([], redirect_uri=RETURN_TO)
    desk.key_file.unlink()
    make_secret(desk.key_file)
    with pytest.raises(SignInRequired, match=r"vault\.key does not open it"):
        await accounts.access(None, "read")
    with pytest.raises(SignInUnknown, match="was changed during this sign-in"):
        await accounts.complete(state=waiting.state, code="code")
    gone = await accounts.forget(ANNA)
    assert not gone.is_revoked
    assert toy.revoked == []

    await signed_in(accounts)
    assert (await accounts.access(None, "read")).account == ANNA


async def test_a_key_is_replaced_by_one_above_it(accounts: Accounts, desk: Desk) -> None:
    await signed_in(accounts)
    old = desk.key_file.read_text(encoding="ascii")
    desk.key_file.unlink()
    make_secret(desk.key_file)
    new = desk.key_file.read_text(encoding="ascii")
    desk.key_file.write_text(f"{new}\n{old}\n", encoding="ascii")
    token = await accounts.access(None, "read")
    await accounts.renewed(token, "read")
    desk.key_file.write_text(f"{new}=\n", encoding="ascii")

    assert (await accounts.access(None, "read")).account == ANNA


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("no key", 0o600, "holds no key of the vault. Put the right one back"),
        ("", 0o600, "holds no key of the vault"),
        ("x" * 43, 0o644, "can be read by other users: run `chmod 600"),
    ],
)
async def test_a_key_that_cannot_be_used_is_told(
    accounts: Accounts, desk: Desk, content: str, mode: int, said: str
) -> None:
    await signed_in(accounts)
    desk.key_file.write_text(content, encoding="ascii")
    desk.key_file.chmod(mode)

    with pytest.raises(NotAllowed, match=said):
        await accounts.access(None, "read")
    with pytest.raises(VaultUnusable, match=said):
        await accounts.begin([], redirect_uri=RETURN_TO)
    (account,) = await accounts.listed()
    assert (account.state, said in str(account.problem)) == ("needs_sign_in", True)


def test_the_key_of_systemd_comes_first_then_the_setting_then_the_home(tmp_path: Path) -> None:
    given, home = tmp_path / "given", tmp_path / "home"
    given.mkdir()
    settings = KitSettings(vault_key_file=tmp_path / "set", XDG_CONFIG_HOME=home)  # type: ignore[call-arg]
    systemd = SystemdSettings(credentials_directory=given)
    assert Vault("mail", settings, systemd).key_file == tmp_path / "set"

    make_secret(given / "vault_key")
    (given / "vault_key").chmod(0o440)
    vault = Vault("mail", settings, systemd)
    sealed = vault.seal("account", ANNA, {"a": 1})
    assert vault.open("account", ANNA, sealed) == {"a": 1}
    assert vault.key_file == given / "vault_key"
    unset = KitSettings(XDG_CONFIG_HOME=home)  # type: ignore[call-arg]
    assert Vault("mail", unset, SystemdSettings()).key_file == home / "flotilla" / "vault.key"


async def test_a_full_disk_is_told_and_changes_nothing(
    accounts: Accounts, toy: ToyProvider
) -> None:
    await signed_in(accounts)
    database = accounts._opened().database
    pages = await database.read(lambda conn: conn.execute("PRAGMA page_count").fetchone()[0])
    await database.write(lambda conn: conn.execute(f"PRAGMA max_page_count = {pages}").fetchall())
    with pytest.raises(Unavailable, match="The disk is full"):
        await accounts.begin([], redirect_uri=f"{RETURN_TO}?{'x' * 20_000}")
    assert (await accounts.access(None, "read")).account == ANNA
    await database.write(lambda conn: conn.execute("PRAGMA max_page_count = 100000").fetchall())

    assert (await signed_in(accounts)).state == "ok"


async def test_a_damaged_file_is_told_and_kept(desk: Desk) -> None:
    desk.folder.mkdir(parents=True)
    desk.file.write_bytes(b"not a database" * 100)

    async with desk.opened() as accounts:
        for asking in (
            accounts.access(None, "read"),
            accounts.listed(),
            accounts.begin([], redirect_uri=RETURN_TO),
            accounts.forget(ANNA),
        ):
            with pytest.raises(Unavailable, match=r"damaged: put a backup.*sign in again"):
                await asking
    assert desk.file.read_bytes() == b"not a database" * 100


async def test_a_file_damaged_in_the_middle_is_told(desk: Desk) -> None:
    async with desk.opened() as accounts:
        await signed_in(accounts)
    content = bytearray(desk.file.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    content[page:] = b"\xff" * (len(content) - page)
    desk.file.write_bytes(content)

    async with desk.opened() as accounts:
        with pytest.raises(Unavailable, match="is damaged"):
            await accounts.listed()


async def test_a_file_of_a_newer_program_is_left_alone(desk: Desk) -> None:
    async with desk.opened():
        pass
    with sqlite3.connect(desk.file) as conn:
        conn.execute("PRAGMA user_version = 99")

    async with desk.opened() as accounts:
        with pytest.raises(Unavailable, match="newer Flotilla"):
            await accounts.listed()
