import pytest
from sqlalchemy import event

from orchestrator.api.authenticator import CACHE_SIZE, Authenticator
from orchestrator.errors import NotSignedIn
from orchestrator.store.database import Database
from orchestrator.store.local_tokens import LOCAL_TOKENS, ensure_local_tokens
from orchestrator.store.migrate import migrate
from orchestrator.store.principals import list_tokens


@pytest.fixture
async def database(tmp_path):
    migrate(tmp_path / "chat_sessions.db")
    opened = Database(tmp_path / "chat_sessions.db")
    yield opened
    await opened.close()


def token_of(folder, name="cli"):
    return (folder / "tokens" / name).read_text().strip()


async def test_a_verified_credential_costs_no_query(database, tmp_path):
    await database.write(ensure_local_tokens, tmp_path)
    authenticator = Authenticator(database)
    await authenticator.verify("token", token_of(tmp_path))
    statements = []
    event.listen(
        database._readers, "before_cursor_execute", lambda *_: statements.append("a query")
    )
    for _ in range(10):
        await authenticator.verify("token", token_of(tmp_path))
    assert statements == []


async def test_the_memory_of_credentials_is_bounded(database, tmp_path):
    await database.write(ensure_local_tokens, tmp_path)
    authenticator = Authenticator(database)
    asking = await authenticator.verify("token", token_of(tmp_path))
    for _ in range(3):
        _, text = await authenticator.new_token(asking, name="t", scope="owner")
        await authenticator.verify("token", text)
    assert len(authenticator._verified) == 4 <= CACHE_SIZE
    for number in range(20):
        with pytest.raises(NotSignedIn):
            await authenticator.verify("token", f"guess {number}")
    assert len(authenticator._verified) == 4


async def test_revoking_reaches_a_principal_that_fell_out_of_memory(database, tmp_path):
    await database.write(ensure_local_tokens, tmp_path)
    authenticator = Authenticator(database)
    asking = await authenticator.verify("token", token_of(tmp_path))
    token, text = await authenticator.new_token(asking, name="t", scope="owner")
    streaming = await authenticator.verify("token", text)
    authenticator._verified.clear()
    await authenticator.verify("token", text)
    await authenticator.revoke_token(asking, token.id)
    assert streaming.revocation.is_ended


async def test_local_tokens_stay_while_they_are_in_force(database, tmp_path):
    await database.write(ensure_local_tokens, tmp_path)
    before = [token_of(tmp_path, name) for name in LOCAL_TOKENS]
    await database.write(ensure_local_tokens, tmp_path)
    assert [token_of(tmp_path, name) for name in LOCAL_TOKENS] == before


async def test_a_lost_token_file_is_written_anew_and_the_lost_token_is_revoked(database, tmp_path):
    owner = await database.write(ensure_local_tokens, tmp_path)
    lost = token_of(tmp_path)
    (tmp_path / "tokens" / "cli").unlink()
    await database.write(ensure_local_tokens, tmp_path)
    authenticator = Authenticator(database)
    with pytest.raises(NotSignedIn):
        await authenticator.verify("token", lost)
    assert (await authenticator.verify("token", token_of(tmp_path))).owner_id == owner.id
    names = [token.name for token in await database.read(list_tokens, owner.id)]
    assert sorted(names) == sorted(LOCAL_TOKENS)


async def test_a_revoked_local_token_is_minted_anew_at_the_next_start(database, tmp_path):
    await database.write(ensure_local_tokens, tmp_path)
    authenticator = Authenticator(database)
    asking = await authenticator.verify("token", token_of(tmp_path))
    revoked = token_of(tmp_path)
    await authenticator.revoke_token(asking, asking.credential_id)
    await database.write(ensure_local_tokens, tmp_path)
    assert token_of(tmp_path) != revoked
    await authenticator.verify("token", token_of(tmp_path))


async def test_each_server_of_the_fleet_has_a_token_while_it_is_one(database, tmp_path):
    owner = await database.write(ensure_local_tokens, tmp_path, ["mail", "housekeeping"])
    authenticator = Authenticator(database)
    mail = await authenticator.verify("token", token_of(tmp_path, "mail.api"))
    assert (mail.scope, mail.credential_name) == ("server", "mail.api")
    kept = await authenticator.verify("token", token_of(tmp_path, "housekeeping.api"))
    assert kept.scope == "read_history"
    lost = token_of(tmp_path, "mail.api")
    await database.write(ensure_local_tokens, tmp_path, ["files"])
    assert not (tmp_path / "tokens" / "mail.api").exists()
    with pytest.raises(NotSignedIn):
        await Authenticator(database).verify("token", lost)
    names = {token.name for token in await database.read(list_tokens, owner.id)}
    assert names == {*LOCAL_TOKENS, "files.api"}
