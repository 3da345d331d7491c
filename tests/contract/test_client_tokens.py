"""Both houses read and write the file with the tokens of a server's clients."""

import json
import threading
from pathlib import Path

import pytest

from orchestrator.domain.client_configs import ClientScope
from orchestrator.errors import NotFound
from orchestrator.store.client_tokens import ClientTokens
from servers.kit.client_tokens import (
    add_client_token,
    client_tokens_file,
    read_client_tokens,
    revoke_client_token,
)
from servers.kit.clients import Clients

SERVER = "calculator"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / client_tokens_file(SERVER)


@pytest.mark.parametrize("scope", ["read", "full"])
def test_a_server_knows_the_tokens_that_the_orchestrator_made(
    tmp_path: Path, path: Path, scope: ClientScope
) -> None:
    (made,) = ClientTokens(tmp_path).mint([SERVER], name="Cursor", scope=scope)

    (read,) = read_client_tokens(path)
    caller = Clients(path).caller(made.text.encode())
    assert read.model_dump() == made.token.model_dump()
    assert caller is not None
    assert (caller.token_id, caller.name) == (made.token.id, "Cursor")
    assert caller.is_read_only == (scope == "read")


def test_the_orchestrator_knows_the_tokens_that_a_server_made(tmp_path: Path, path: Path) -> None:
    made, text = add_client_token(path, name="Cursor", scope="full")
    tokens = ClientTokens(tmp_path)

    ((server, read),) = tokens.all()
    assert (server, read.model_dump()) == (SERVER, made.model_dump())
    assert tokens.revoke_text(f"Bearer {text}")
    assert read_client_tokens(path) == ()


def test_each_revokes_what_the_other_made_and_writes_the_same_bytes(
    tmp_path: Path, path: Path
) -> None:
    tokens = ClientTokens(tmp_path)
    (ours,) = tokens.mint([SERVER], name="Cursor", scope="read")
    theirs, _ = add_client_token(path, name="Zed – näher", scope="full")
    by_them = path.read_bytes()

    revoke_client_token(path, ours.token.id)
    (again,) = tokens.mint([SERVER], name="Cursor", scope="read")
    assert tokens.revoke(again.token.id)[1] == again.token
    assert json.loads(by_them)["tokens"][1:] == json.loads(path.read_bytes())["tokens"]
    assert path.stat().st_mode & 0o777 == 0o600
    only_theirs = path.read_bytes()
    (extra,) = tokens.mint([SERVER], name="x", scope="read")
    revoke_client_token(path, extra.token.id)
    assert path.read_bytes() == only_theirs
    server, ended = tokens.revoke(theirs.id)
    assert (server, ended.model_dump()) == (SERVER, theirs.model_dump())
    with pytest.raises(NotFound):
        tokens.revoke(theirs.id)


def test_no_token_is_lost_when_both_write_at_once(tmp_path: Path, path: Path) -> None:
    ids: list[str] = []

    def by_the_orchestrator() -> None:
        for _ in range(10):
            (made,) = ClientTokens(tmp_path).mint([SERVER], name="o", scope="read")
            ids.append(made.token.id)

    def by_the_server() -> None:
        ids.extend(add_client_token(path, name="s", scope="full")[0].id for _ in range(10))

    threads = [threading.Thread(target=by) for by in (by_the_orchestrator, by_the_server) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ids) == 40
    assert {token.id for token in read_client_tokens(path)} == set(ids)
