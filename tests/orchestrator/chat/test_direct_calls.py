"""Calls outside a turn, with a real gate behind them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from orchestrator.approvals.canonical import MAX_ASKED_BYTES
from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.inbox import Inbox
from orchestrator.background import running
from orchestrator.chat.direct_calls import DirectCalls, Ended, Waiting
from orchestrator.chat.limits import TurnLimits
from orchestrator.chat.resources import ChatSettings
from orchestrator.domain.approvals import Approval, Decision
from orchestrator.domain.ids import new_id
from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.times import now_rfc3339, to_rfc3339, utc_now
from orchestrator.errors import Conflict, ServerUnavailable, TooLarge, ToolNotFound
from orchestrator.store import approvals, attachments, schema, standing_approvals
from orchestrator.store.database import Database
from orchestrator.store.migrate import migrate
from orchestrator.store.principals import ensure_owner
from orchestrator.tools.addresses import AddressRule
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.pin_file import PinFile
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.mcp_servers import ServerProcess, toy_server
from tests.fakes.mcp_waiting import eventually
from tests.orchestrator.chat.files import opened_files

YES = Decision(approve=True, by="web")
SETTINGS = ChatSettings(
    model_layers=lambda: (),
    timezone="Europe/Lisbon",
    limits=TurnLimits(),
)
NO = Decision(approve=False, by="web", reason="Not to her.")


@dataclass
class Desk:
    """The rooms that a call outside a turn goes through."""

    database: Database
    owner_id: str
    aggregator: MCPToolAggregator
    inbox: Inbox
    calls: DirectCalls

    async def call(self, tool: str, arguments: dict[str, Any], **more: Any) -> Ended | Waiting:
        return await self.calls.call(self.owner_id, tool, arguments, **more)

    async def asked(self, tool: str, arguments: dict[str, Any], **more: Any) -> Approval:
        waiting = await self.call(tool, arguments, **more)
        assert isinstance(waiting, Waiting)
        assert waiting.approval.state == "pending"
        return waiting.approval

    async def decide(self, approval: Approval, decision: Decision = YES) -> Approval:
        return await self.inbox.decide(self.owner_id, approval.id, decision)

    async def stored(self, approval: Approval) -> Approval:
        return await self.database.read(approvals.get, self.owner_id, approval.id)

    async def outcome(self, approval: Approval) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while (outcome := (await self.stored(approval)).outcome) is None:  # noqa: ASYNC110  (it comes with no event)
                await asyncio.sleep(0.02)
        return outcome

    async def let_stand(self, tool: str) -> None:
        await self.database.write(standing_approvals.add, self.owner_id, tool, None, by="web")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with toy_server(tmp_path_factory.mktemp("toy") / "notes.txt") as server:
        yield server


@pytest.fixture(scope="module")
def shared_effects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EffectsServer]:
    limits = {"FLOTILLA_DAY_MAX_DELETES": "3"}
    with running_effects(tmp_path_factory.mktemp("effects"), limits) as server:
        yield server


@pytest.fixture
def effects(shared_effects: EffectsServer) -> EffectsServer:
    if shared_effects.process.poll() is not None:
        shared_effects.restart()
    return shared_effects


@asynccontextmanager
async def open_desk(
    folder: Path, effects: EffectsServer, toy: ServerProcess, *, call_timeout_s: float = 30
) -> AsyncIterator[Desk]:
    """Everything as after a start of the process; the same folder again is a restart."""
    path = folder / "chat_sessions.db"
    migrate(path)
    configs = [
        ServerConfig(id="effects", url=effects.url, call_timeout_s=call_timeout_s, trust="fleet"),
        ServerConfig(id="toy", url=toy.url, trust="third_party"),
    ]
    async with AsyncExitStack() as stack:
        database = Database(path)
        stack.push_async_callback(database.close)
        owner = await database.write(ensure_owner)
        aggregator = await stack.enter_async_context(
            MCPToolAggregator(
                configs,
                token_for=lambda server: effects.token if server.id == "effects" else None,
                cache_dir=folder / "cache",
                pins=PinFile(folder / "tool_pins.json"),
                addresses=AddressRule(["127.0.0.1"]),
            )
        )
        assert await aggregator.wait_until_settled(20)
        inbox = Inbox(database)
        await stack.enter_async_context(running(inbox.keep_deadlines()))
        grants = GrantKeys(effects.data_dir)
        files = await stack.enter_async_context(opened_files(folder, database))
        calls = await stack.enter_async_context(
            DirectCalls(SETTINGS, database, aggregator, inbox, grants, files)
        )
        yield Desk(database, owner.id, aggregator, inbox, calls)


@pytest.fixture
async def desk(tmp_path: Path, effects: EffectsServer, toy: ServerProcess) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, effects, toy) as desk:
        yield desk


@pytest.fixture
def mail() -> dict[str, Any]:
    """A mail to somebody no other test writes to."""
    return {"to": new_id("msg"), "subject": "Hi", "body": "See you."}


def sent(effects: EffectsServer, mail: dict[str, Any]) -> list[dict[str, Any]]:
    found = (effect.arguments for effect in effects.effects("send_message"))
    return [arguments for arguments in found if arguments["to"] == mail["to"]]


async def test_a_tool_that_only_reads_runs_at_once(desk: Desk):
    ended = await desk.call("effects__read_note", {"item_id": "7"})
    assert isinstance(ended, Ended)
    assert (ended.outcome.status, ended.outcome.structured) == ("done", {"text": "note 7"})
    assert await desk.database.read(approvals.page, desk.owner_id, limit=10) == ([], None)


async def test_a_tool_that_asks_waits_and_then_runs_once(
    desk: Desk, effects: EffectsServer, mail: dict[str, Any]
):
    asked = await desk.asked("effects__send_message", mail, call_id=mail["to"])
    assert (asked.origin, asked.client, asked.level) == ("api", "HTTP API", 3)
    assert (asked.arguments, asked.tool_call_id) == (mail, mail["to"])
    assert sent(effects, mail) == []
    await desk.decide(asked)
    assert (await desk.outcome(asked))["status"] == "done"
    await desk.decide(asked)
    again = await desk.call("effects__send_message", mail, call_id=mail["to"])
    assert isinstance(again, Ended)
    assert again.outcome.model_dump() == await desk.outcome(asked)
    assert sent(effects, mail) == [mail]


async def test_asking_again_finds_the_same_approval(desk: Desk, mail: dict[str, Any]):
    asked = await desk.asked("effects__send_message", mail, call_id=mail["to"])
    assert await desk.asked("effects__send_message", mail, call_id=mail["to"]) == asked


async def test_a_denied_call_tells_the_reason_and_sends_nothing(
    desk: Desk, effects: EffectsServer, mail: dict[str, Any]
):
    asked = await desk.asked("effects__send_message", mail, call_id=mail["to"])
    await desk.decide(asked, NO)
    ended = await desk.call("effects__send_message", mail, call_id=mail["to"])
    assert isinstance(ended, Ended)
    assert ended.outcome.status == "denied"
    assert "Not to her." in ended.outcome.text
    assert sent(effects, mail) == []


async def test_changed_arguments_run_and_are_told(
    desk: Desk, effects: EffectsServer, mail: dict[str, Any]
):
    asked = await desk.asked("effects__send_message", mail)
    changed = mail | {"body": "See you there."}
    await desk.decide(asked, YES.model_copy(update={"arguments": changed}))
    assert "See you there." in (await desk.outcome(asked))["text"]
    assert sent(effects, mail) == [changed]


async def test_a_call_id_belongs_to_one_call(desk: Desk, mail: dict[str, Any]):
    call_id = mail["to"]
    await desk.asked("effects__send_message", mail, call_id=call_id)
    with pytest.raises(Conflict):
        await desk.call("effects__send_message", mail | {"body": "x"}, call_id=call_id)
    label = {"item_id": "1", "label": "red"}
    other_id = new_id("call")
    assert isinstance(await desk.call("effects__add_label", label, call_id=other_id), Ended)
    with pytest.raises(Conflict):
        await desk.call("effects__add_label", label | {"label": "blue"}, call_id=other_id)


async def test_a_call_without_approval_runs_once_for_its_id(desk: Desk, effects: EffectsServer):
    label = {"item_id": new_id("msg"), "label": "red"}
    first = await desk.call("effects__add_label", label, call_id=label["item_id"])
    assert await desk.call("effects__add_label", label, call_id=label["item_id"]) == first
    assert [e.arguments for e in effects.effects("add_label")].count(label) == 1


async def test_a_standing_approval_lets_level_two_run(desk: Desk, effects: EffectsServer):
    post = {"channel": new_id("msg"), "body": "Hello."}
    await desk.let_stand("effects__post_update")
    ended = await desk.call("effects__post_update", post)
    assert isinstance(ended, Ended)
    assert ended.outcome.status == "done"
    posts = [e.arguments["channel"] for e in effects.effects("post_update")]
    assert posts.count(post["channel"]) == 1


async def test_a_limit_asks_even_where_an_approval_stands(desk: Desk, effects: EffectsServer):
    ids = [new_id("msg") for _ in range(4)]
    await desk.let_stand("effects__delete_many")
    asked = await desk.asked("effects__delete_many", {"ids": ids})
    assert "limit" in asked.reason.lower() or "3" in asked.reason
    assert ids not in [e.arguments["ids"] for e in effects.effects("delete_many")]
    await desk.decide(asked)
    assert (await desk.outcome(asked))["status"] == "done"
    assert [e.arguments["ids"] for e in effects.effects("delete_many")].count(ids) == 1


async def test_a_server_killed_between_ask_and_approval_runs_it_once(
    desk: Desk, effects: EffectsServer, mail: dict[str, Any]
):
    asked = await desk.asked("effects__send_message", mail)
    effects.restart()
    await desk.decide(asked)
    assert (await desk.outcome(asked))["status"] == "done"
    assert sent(effects, mail) == [mail]


async def test_an_approved_call_waits_for_its_server(
    desk: Desk, effects: EffectsServer, mail: dict[str, Any]
):
    asked = await desk.asked("effects__send_message", mail, call_id=mail["to"])
    effects.kill()
    await desk.decide(asked)
    waiting = await desk.call("effects__send_message", mail, call_id=mail["to"])
    assert isinstance(waiting, Waiting)
    assert (waiting.approval.state, waiting.approval.outcome) == ("approved", None)
    effects.start()
    assert (await desk.outcome(asked))["status"] == "done"
    assert sent(effects, mail) == [mail]


async def test_a_server_that_is_away_refuses_what_needs_no_approval(
    desk: Desk, effects: EffectsServer
):
    effects.kill()
    with pytest.raises(ServerUnavailable):
        await desk.call("effects__add_label", {"item_id": "1", "label": "red"})


async def test_a_tool_nobody_knows_is_not_found(desk: Desk):
    with pytest.raises(ToolNotFound):
        await desk.call("effects__launch", {})


async def test_a_restart_runs_what_was_approved_and_not_what_had_run(
    tmp_path: Path, effects: EffectsServer, toy: ServerProcess, mail: dict[str, Any]
):
    async with open_desk(tmp_path, effects, toy) as desk:
        unsent = await desk.asked("effects__send_message", mail)
        ran = await desk.asked("effects__send_message", mail | {"body": "Bye."})
        await desk.decide(ran)
        await desk.outcome(ran)
        # As a crash leaves it: the server ran the call, and we have not stored its end.
        await desk.database.write(forget_outcome, ran)
        await desk.database.write(approvals.decide, desk.owner_id, unsent.id, YES)
    async with open_desk(tmp_path, effects, toy) as desk:
        assert (await desk.outcome(unsent))["status"] == "done"
        assert (await desk.outcome(ran))["status"] == "done"
    assert sorted(found["body"] for found in sent(effects, mail)) == ["Bye.", "See you."]


async def test_after_a_crash_the_call_of_a_third_party_is_unknown(
    tmp_path: Path, effects: EffectsServer, toy: ServerProcess
):
    note = {"text": new_id("msg")}
    async with open_desk(tmp_path, effects, toy) as desk:
        asked = await desk.asked("toy__write_note", note)
        await desk.database.write(approvals.decide, desk.owner_id, asked.id, YES)
    async with open_desk(tmp_path, effects, toy) as desk:
        assert (await desk.outcome(asked))["status"] == "unknown"
    assert f"note {note['text']}" not in toy.journal_lines()


async def test_a_third_party_runs_once_for_a_call_id(desk: Desk, toy: ServerProcess):
    note, call_id = {"text": new_id("msg")}, new_id("call")
    await desk.let_stand("toy__write_note")
    first = await desk.call("toy__write_note", note, call_id=call_id)
    assert isinstance(first, Ended)
    assert first.outcome.status == "done"
    assert await desk.call("toy__write_note", note, call_id=call_id) == first
    assert toy.journal_lines().count(f"note {note['text']}") == 1


async def test_a_file_that_a_call_returns_is_kept_and_named(desk: Desk):
    asked = await desk.asked("toy__image", {})
    await desk.decide(asked)
    outcome = await desk.outcome(asked)
    (attachment_id,) = outcome["attachments"]
    kept = await desk.database.read(attachments.get, desk.owner_id, attachment_id)
    assert (kept.mime, kept.session_id, kept.source) == ("image/png", None, "tool")
    assert attachment_id in outcome["text"]


async def test_what_a_client_of_a_server_asked_for_runs_on_approval(
    desk: Desk, effects: EffectsServer, mail: dict[str, Any]
):
    asked = ticket(mail)
    await desk.database.write(approvals.insert, desk.owner_id, asked)
    await desk.decide(asked)
    assert (await desk.outcome(asked))["status"] == "done"
    assert sent(effects, mail) == [mail]


async def test_a_stop_in_the_middle_of_an_approved_call_runs_it_once(
    tmp_path: Path, effects: EffectsServer, toy: ServerProcess
):
    mail = {"to": new_id("msg"), "body": "See you.", "seconds": 2}

    def is_sent() -> int:
        return [e.arguments for e in effects.effects("slow_send")].count(mail)

    async with open_desk(tmp_path, effects, toy) as desk:
        asked = await desk.asked("effects__slow_send", mail)
        await desk.decide(asked)
        await eventually(lambda: is_sent() == 1)
    async with open_desk(tmp_path, effects, toy) as desk:
        assert (await desk.outcome(asked))["status"] == "done"
    assert is_sent() == 1


async def test_an_approved_call_may_take_longer_than_its_time_limit(
    tmp_path: Path, effects: EffectsServer, toy: ServerProcess
):
    mail = {"to": new_id("msg"), "body": "See you.", "seconds": 3}
    async with open_desk(tmp_path, effects, toy, call_timeout_s=1) as desk:
        asked = await desk.asked("effects__slow_send", mail)
        await desk.decide(asked)
        assert (await desk.outcome(asked))["status"] == "done"
    assert [e.arguments for e in effects.effects("slow_send")].count(mail) == 1


async def test_approved_calls_wait_for_their_turn_on_a_busy_server(
    tmp_path: Path, effects: EffectsServer, toy: ServerProcess
):
    # Three rounds of eight take longer than one call may, which has time to spare by itself.
    mails = [{"to": new_id("msg"), "body": "Hi.", "seconds": 2} for _ in range(20)]
    async with open_desk(tmp_path, effects, toy, call_timeout_s=5) as desk:
        asked = [await desk.asked("effects__slow_send", mail) for mail in mails]
        for approval in asked:
            await desk.decide(approval)
        assert {(await desk.outcome(approval))["status"] for approval in asked} == {"done"}
    sent_mails = [effect.arguments for effect in effects.effects("slow_send")]
    assert [sent_mails.count(mail) for mail in mails] == [1] * len(mails)


async def test_nobody_is_asked_about_more_than_a_person_reads(desk: Desk, toy: ServerProcess):
    with pytest.raises(TooLarge, match="64 kB"):
        await desk.call("toy__write_note", {"text": "x" * MAX_ASKED_BYTES})
    waiting, _ = await desk.database.read(approvals.page, desk.owner_id, limit=1)
    assert waiting == []


async def test_a_server_killed_while_an_approved_call_runs_leaves_it_unknown(
    desk: Desk, effects: EffectsServer
):
    mail = {"to": new_id("msg"), "body": "See you.", "seconds": 4}
    asked = await desk.asked("effects__slow_send", mail)
    await desk.decide(asked)
    await eventually(lambda: mail in [e.arguments for e in effects.effects("slow_send")])
    effects.restart()
    assert (await desk.outcome(asked))["status"] == "unknown"
    assert [e.arguments for e in effects.effects("slow_send")].count(mail) == 1


async def test_a_server_that_stays_away_until_the_end_ran_nothing(
    desk: Desk, effects: EffectsServer, mail: dict[str, Any]
):
    effects.kill()
    asked = ticket(mail, expires_at=to_rfc3339(utc_now() + timedelta(seconds=3)))
    await desk.database.write(approvals.insert, desk.owner_id, asked)
    await desk.decide(asked)
    outcome = await desk.outcome(asked)
    assert (outcome["status"], outcome["error_code"]) == ("failed", "approval_expired")
    effects.start()
    assert sent(effects, mail) == []


async def test_what_a_crash_left_beyond_its_time_is_unknown_and_not_run(
    tmp_path: Path, effects: EffectsServer, toy: ServerProcess, mail: dict[str, Any]
):
    async with open_desk(tmp_path, effects, toy) as desk:
        late = ticket(mail, state="approved", expires_at=now_rfc3339())
        await desk.database.write(approvals.insert, desk.owner_id, late)
    async with open_desk(tmp_path, effects, toy) as desk:
        assert (await desk.outcome(late))["status"] == "unknown"
    assert sent(effects, mail) == []


def ticket(mail: dict[str, Any], **more: Any) -> Approval:
    """What a server asks for on behalf of a client of its own."""
    fields: dict[str, Any] = {
        "id": new_id("appr"),
        "origin": "client",
        "state": "pending",
        "tool_call_id": new_id("call"),
        "server": "effects",
        "tool": "effects__send_message",
        "title": "Send message",
        "arguments": mail,
        "level": 3,
        "reason": "This tool asks every time.",
        "client": "some editor",
        "created_at": now_rfc3339(),
        "expires_at": "2999-01-01T00:00:00.000Z",
    }
    return Approval(**(fields | more))


def forget_outcome(conn: Connection, approval: Approval) -> None:
    rows = schema.approvals
    conn.execute(update(rows).where(rows.c.id == approval.id).values(outcome=None))
