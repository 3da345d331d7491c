import pytest

from orchestrator.errors import NotFound, VaultUnusable
from orchestrator.store.database import Database
from orchestrator.store.migrate import migrate
from orchestrator.store.principals import ensure_owner
from orchestrator.store.vault import Vault


@pytest.fixture
async def database(tmp_path):
    path = tmp_path / "chat_sessions.db"
    migrate(path)
    database = Database(path)
    yield database
    await database.close()


@pytest.fixture
async def owner_id(database):
    return (await database.write(ensure_owner)).id


async def test_secrets_outlive_the_process_and_a_new_key(database, owner_id, tmp_path):
    key_file = tmp_path / "keys" / "vault.key"
    first = Vault(database, owner_id, key_file)
    await first.put("one", "first value", actor="test")
    old_key = key_file.read_text()
    other = tmp_path / "other.key"
    await Vault(database, owner_id, other).put("two", "x", actor="test")
    key_file.write_text(f"{other.read_text()}\n{old_key}\n")
    again = Vault(database, owner_id, key_file)
    await again.load()
    assert (again.secret("one"), again.secret("two"), again.secret("none")) == (
        "first value",
        "x",
        None,
    )


async def test_without_its_key_a_secret_is_named_but_not_given(database, owner_id, tmp_path):
    key_file = tmp_path / "vault.key"
    await Vault(database, owner_id, key_file).put("one", "value", actor="test")
    key_file.unlink()
    lost = Vault(database, owner_id, key_file)
    await lost.load()
    assert lost.secret("one") is None
    [entry] = await lost.listed()
    assert (entry.name, entry.is_readable) == ("one", False)
    await lost.put("one", "given again", actor="test")
    assert lost.secret("one") == "given again"


@pytest.mark.parametrize("text", ["", "short", "x" * 43 + "!"])
async def test_a_file_that_holds_no_key_is_never_overwritten(database, owner_id, tmp_path, text):
    key_file = tmp_path / "vault.key"
    key_file.write_text(text)
    key_file.chmod(0o600)
    with pytest.raises(VaultUnusable, match=r"vault\.key"):
        await Vault(database, owner_id, key_file).put("one", "value", actor="test")
    assert key_file.read_text() == text


async def test_a_key_that_others_can_read_is_refused(database, owner_id, tmp_path):
    key_file = tmp_path / "vault.key"
    await Vault(database, owner_id, key_file).put("one", "value", actor="test")
    key_file.chmod(0o644)
    with pytest.raises(VaultUnusable, match="chmod 600"):
        await Vault(database, owner_id, key_file).put("two", "value", actor="test")


async def test_removing_what_is_not_there(database, owner_id, tmp_path):
    vault = Vault(database, owner_id, tmp_path / "vault.key")
    with pytest.raises(NotFound):
        await vault.remove("one", actor="test")
