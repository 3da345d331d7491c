"""What the gate's own questions say of what a call would do, and who else may ask."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

from servers.kit.client_tokens import add_client_token, client_tokens_file
from servers.kit.database import make_tables
from servers.kit.gate import schema
from servers.kit.gate.ledger import Ledger
from servers.kit.gate.terminal import waiting_approvals
from tests.fakes.effects import EffectsServer, read_effects
from tests.fakes.effects_server import MANIFEST
from tests.servers.kit.gate.in_memory import EffectsInMemory, answering, called, error_of

SHARE = {"item_id": "i1", "email": "bo@example.org"}
TOLD = "What it would do:\nItem: note i1\n  | What i1 says.\n  | Cost: 0\nIt cannot be undone."


def previewed(effects: EffectsInMemory) -> int:
    return len(read_effects(effects.data_dir / "previews.txt"))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_question_at_the_client_says_what_the_call_would_do(
    effects: EffectsInMemory, mode: Literal["auto", "legacy"]
) -> None:
    asked: list[str] = []
    async with effects.client(answering(True, asked), mode) as client:
        result = await called(client, "share_item", SHARE)

    assert not result.is_error
    (question,) = asked
    assert question.startswith("Effects: Share item\nitem_id: i1\nemail: bo@example.org\n")
    assert TOLD in question
    assert len(effects.effects("share_item")) == 1
    # Looked up once, for the question, and not again when the answer came.
    assert previewed(effects) == 1


async def test_a_question_without_a_preview_is_as_ever(effects: EffectsInMemory) -> None:
    asked: list[str] = []
    async with effects.client(answering(False, asked)) as client:
        await called(client, "delete_item", {"item_id": "i1"})

    assert "What it would do" not in asked[0]


@pytest.mark.parametrize("with_form", [True, False])
async def test_nobody_is_asked_about_what_cannot_be_done(
    effects: EffectsInMemory, with_form: bool
) -> None:
    asked: list[str] = []
    handler = answering(True, asked) if with_form else None
    async with effects.client(handler) as client:
        result = await called(client, "share_item", {**SHARE, "item_id": "gone"})

    assert result.is_error
    assert result.content[0].text == "There is no item 'gone'."
    assert asked == []
    assert effects.effects("share_item") == []
    waiting = await asyncio.to_thread(waiting_approvals, MANIFEST, effects.settings)
    assert waiting == "Nothing waits for you."


async def test_a_preview_that_is_away_does_not_stop_the_question(effects: EffectsInMemory) -> None:
    asked: list[str] = []
    async with effects.client(answering(True, asked)) as client:
        result = await called(client, "share_item", {**SHARE, "item_id": "away"})

    assert "What it would do:\nIt is not known: The shelf does not answer.\n" in asked[0]
    assert not result.is_error


async def test_a_ticket_keeps_what_its_call_would_do(effects: EffectsInMemory) -> None:
    async with effects.client() as client:
        for _ in range(2):
            error_of(await called(client, "share_item", SHARE))

    assert previewed(effects) == 1
    assert effects.effects() == []


async def test_the_terminal_shows_what_a_ticket_is_for(effects: EffectsInMemory) -> None:
    async with effects.client() as client:
        error_of(await called(client, "share_item", SHARE))
    shown = await asyncio.to_thread(waiting_approvals, MANIFEST, effects.settings)

    assert f"email: bo@example.org\n{TOLD}" in shown


@pytest.fixture(params=[(schema._TABLES,), (schema._TABLES, schema._PREVIEWS)])
def old_file(ledger_path: Path, request: pytest.FixtureRequest) -> Path:
    """A ledger of a version before tickets had previews, or accounts."""
    ledger_path.parent.mkdir(parents=True, exist_ok=True)
    conn = sqlite3.connect(ledger_path)
    make_tables(conn, *request.param)
    conn.execute("INSERT INTO audit VALUES (1, '{}', 'h')")
    conn.commit()
    conn.close()
    return ledger_path


async def test_an_older_ledger_is_brought_up_to_date(old_file: Path) -> None:
    def found(conn: sqlite3.Connection) -> tuple[Any, ...]:
        columns = [row[1] for row in conn.execute("PRAGMA table_info(tickets)")]
        version = conn.execute("PRAGMA user_version").fetchone()[0]
        return columns[-1], version, conn.execute("SELECT COUNT(*) FROM audit").fetchone()[0]

    for _ in range(2):
        async with Ledger(old_file) as ledger:
            assert await ledger.read(found) == ("account", 3, 1)


def test_only_the_servers_own_token_may_ask(effects_process: EffectsServer) -> None:
    url = f"{effects_process.origin}/previews/share_item"
    tokens = effects_process.data_dir / client_tokens_file(effects_process.name)
    client = add_client_token(tokens, name="Desk", scope="full")[1]
    body = {"arguments": SHARE}

    def ask(token: str) -> httpx2.Response:
        return httpx2.post(url, json=body, headers={"Authorization": f"Bearer {token}"})

    assert httpx2.post(url, json=body).status_code == 401
    assert ask(client).status_code == 403
    assert ask(effects_process.token).json() == {
        "account": None,
        "lines": [{"name": "Item", "value": "note i1"}],
        "text": "What i1 says.\nCost: 0",
    }
