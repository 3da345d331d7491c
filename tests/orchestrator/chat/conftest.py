"""A ChatOrchestrator on a real database, against a fake OpenRouter and a real MCP server."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.inbox import Inbox
from orchestrator.attachments.local_blobs import LocalBlobStore
from orchestrator.attachments.uploads import Attachments
from orchestrator.background import running
from orchestrator.chat.accepting import NewTurn
from orchestrator.chat.limits import TurnLimits
from orchestrator.chat.orchestrator import ChatOrchestrator
from orchestrator.chat.resources import ChatSettings, gathered
from orchestrator.domain.approvals import Approval, Decision
from orchestrator.domain.attachments import Attachment
from orchestrator.domain.chat import Message, ToolCallRecord, Turn
from orchestrator.domain.model_settings import ModelSettings
from orchestrator.domain.servers import ServerConfig
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.store import messages, sessions, standing_approvals, tool_calls, turns
from orchestrator.store.database import Database
from orchestrator.store.in_force import SettingsLayer, document_layer
from orchestrator.store.migrate import migrate
from orchestrator.store.principals import ensure_owner
from orchestrator.tools.addresses import AddressRule
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.pin_file import PinFile
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.mcp_servers import ServerProcess, toy_server
from tests.fakes.openrouter import API_KEY, SCRIPT_MODEL, FakeOpenRouter, running_fake
from tests.orchestrator.chat.files import chunks_of, opened_files
from tests.orchestrator.chat.stream import Event, decoded


@dataclass
class Chat:
    """A running chat floor and short words for what tests do with it."""

    orchestrator: ChatOrchestrator
    database: Database
    owner_id: str
    fake: FakeOpenRouter | Any
    inbox: Inbox
    aggregator: MCPToolAggregator
    files: Attachments
    llm: ModelEndpoints
    turns: list[Turn] = field(default_factory=list)

    async def send(self, text: str | None, **more: Any) -> Turn:
        turn = await self.orchestrator.start(self.owner_id, NewTurn(text=text, **more))
        self.turns.append(turn)
        return turn

    async def attach(self, content: bytes, name: str) -> Attachment:
        """Upload a file."""
        return await self.files.save(self.owner_id, chunks_of(content), name=name, source="upload")

    async def branch(self, session_id: str) -> list[Message]:
        session = await self.database.read(sessions.get, self.owner_id, session_id)
        return await self.database.read(
            messages.branch, self.owner_id, session_id, session.leaf_message_id
        )

    async def follow(self, turn_id: str, after: int = 0) -> AsyncIterator[Event]:
        batches = await self.orchestrator.follow(self.owner_id, turn_id, after, idle_s=30)
        async for events in batches:
            for event in events:
                yield decoded(event)

    async def events(self, turn_id: str, after: int = 0) -> list[Event]:
        return [event async for event in self.follow(turn_id, after)]

    async def until(self, turn_id: str, kind: str) -> Event:
        async for event in self.follow(turn_id):
            if event.type == kind:
                return event
        raise AssertionError(f"{turn_id} ended without {kind}")

    async def asked(self, turn_id: str, number: int = 1) -> list[str]:
        """Return the ids of the approvals that the turn asked for, once there are so many."""
        found: list[str] = []
        async for event in self.follow(turn_id):
            if event.type == "approval_requested":
                found.append(event["approval_id"])
                if len(found) == number:
                    return found
        raise AssertionError(f"{turn_id} asked {len(found)} times only")

    async def decide(self, approval_id: str, *, approve: bool = True, **more: Any) -> Approval:
        decision = Decision(approve=approve, by="web", **more)
        return await self.inbox.decide(self.owner_id, approval_id, decision)

    async def calls(self, turn_id: str) -> list[ToolCallRecord]:
        return await self.database.read(tool_calls.of_turn, self.owner_id, turn_id)

    async def state(self, turn_id: str) -> Turn:
        return await self.database.read(turns.get, self.owner_id, turn_id)

    async def let_stand(self, tool: str) -> None:
        await self.database.write(standing_approvals.add, self.owner_id, tool, None, by="web")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("toy") / "notes.txt", "--with-files") as server:
        yield server


@pytest.fixture(scope="module")
def shared_effects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EffectsServer]:
    limits = {f"FLOTILLA_DAY_MAX_{kind}": "10000" for kind in ("SENDS", "DELETES", "SHARES")}
    with running_effects(tmp_path_factory.mktemp("effects"), limits) as server:
        yield server


@pytest.fixture
def effects(shared_effects: EffectsServer) -> EffectsServer:
    """The effects server, as if it had done nothing yet."""
    shared_effects.effects_file.unlink(missing_ok=True)
    return shared_effects


@pytest.fixture
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@asynccontextmanager
async def running_chat(
    folder: Path,
    fake: FakeOpenRouter | str,
    toy_url: str | None,
    limits: TurnLimits | None = None,
    *,
    effects: EffectsServer | None = None,
    store: type[LocalBlobStore] = LocalBlobStore,
    model_layers: Callable[[], tuple[SettingsLayer, ...]] | None = None,
    **more: Any,
) -> AsyncIterator[Chat]:
    """The same folder again is a restart; `fake` may be the URL of one in another process.

    `more` are fields of ChatSettings.
    """
    path = folder / "chat_sessions.db"
    migrate(path)
    database = Database(path)
    owner = await database.write(ensure_owner)
    await database.write(_let_stand, owner.id, "toy__write_note")
    configs = [ServerConfig(id="toy", title="Toy", url=toy_url, trust="fleet")] if toy_url else []
    configs += [ServerConfig(id=effects.name, url=effects.url, trust="fleet")] if effects else []
    document = ModelSettings(model=SCRIPT_MODEL, system_prompt="Be brief.")
    settings = ChatSettings(
        model_layers=model_layers or (lambda: (document_layer(document),)),
        timezone="Europe/Lisbon",
        limits=limits or TurnLimits(),
        **more,
    )
    aggregator = MCPToolAggregator(
        configs,
        token_for=lambda server: effects.token if effects and server.id == effects.name else None,
        cache_dir=folder / "cache",
        pins=PinFile(folder / "tool_pins.json"),
        addresses=AddressRule(["127.0.0.1"]),
    )
    model_url = fake if isinstance(fake, str) else fake.base_url
    llm = ModelEndpoints(
        model_url, API_KEY, cache_dir=folder / "cache" / "models", retry_delay_s=0.01
    )
    inbox, grants = Inbox(database), GrantKeys(effects.data_dir if effects else folder)
    async with llm, aggregator, running(inbox.keep_deadlines()):
        assert await aggregator.wait_until_settled(10)
        async with (
            opened_files(folder, database, store) as files,
            ChatOrchestrator(
                gathered(settings, folder, database, llm, aggregator, inbox, grants, files),
                folder,
            ) as orchestrator,
        ):
            yield Chat(orchestrator, database, owner.id, fake, inbox, aggregator, files, llm)
    await database.close()


def _let_stand(conn: Connection, owner_id: str, tool: str) -> None:
    """What is tested with this tool is not its approval."""
    standing_approvals.add(conn, owner_id, tool, None, by="test")


@pytest.fixture
async def gated(
    tmp_path: Path, fake: FakeOpenRouter, effects: EffectsServer
) -> AsyncIterator[Chat]:
    async with running_chat(tmp_path, fake, None, effects=effects) as chat:
        yield chat


@pytest.fixture
async def chat(tmp_path: Path, fake: FakeOpenRouter, toy: ServerProcess) -> AsyncIterator[Chat]:
    async with running_chat(tmp_path, fake, toy.url) as chat:
        yield chat
