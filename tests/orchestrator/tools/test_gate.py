"""The aggregator and a real gate: grants, journal, lost answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.approvals.grants import GrantKeys
from orchestrator.domain.ids import new_id
from orchestrator.domain.servers import ServerConfig
from orchestrator.domain.tools import Permit, ToolResult
from orchestrator.errors import ServerUnavailable
from orchestrator.tools.aggregator import MCPToolAggregator
from tests.fakes.effects import EffectsServer, running_effects
from tests.fakes.mcp_waiting import eventually
from tests.fakes.tcp_wire import Wire, wire_to
from tests.orchestrator.tools.conftest import Aggregate


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EffectsServer]:
    with running_effects(tmp_path_factory.mktemp("effects")) as server:
        yield server


@pytest.fixture
def server(shared_server: EffectsServer) -> EffectsServer:
    if shared_server.process.poll() is not None:
        shared_server.restart()
    return shared_server


@dataclass
class Side:
    """Our side of the wire, with a call id and a recipient that no other test uses."""

    server: EffectsServer
    aggregator: MCPToolAggregator
    wire: Wire
    call_id: str = field(default_factory=lambda: new_id("call"))

    @property
    def mail(self) -> dict[str, Any]:
        return {"to": self.call_id, "subject": "Hi", "body": "See you."}

    def slow_mail(self, seconds: float) -> dict[str, Any]:
        return {"to": self.call_id, "body": "See you.", "seconds": seconds}

    def sent(self) -> list[dict[str, Any]]:
        effects = (effect.arguments for effect in self.server.effects())
        return [arguments for arguments in effects if arguments.get("to") == self.call_id]

    def grant(self, tool: str, arguments: dict[str, Any]) -> str:
        return GrantKeys(self.server.data_dir).mint(
            "effects",
            tool,
            owner="owner",
            call_id=self.call_id,
            arguments=arguments,
            scope="once",
            by="web",
            grant_id=f"grant_{self.call_id}",
        )

    async def call(self, tool: str, arguments: dict[str, Any], **more: Any) -> ToolResult:
        options: dict[str, Any] = {"call_id": self.call_id, **more}
        return await self.aggregator.call(f"effects__{tool}", arguments, **options)

    async def approved(self, tool: str, arguments: dict[str, Any], **more: Any) -> ToolResult:
        permit = Permit(grant=self.grant(tool, arguments))
        return await self.call(tool, arguments, permit=permit, **more)


@pytest.fixture
async def side(server: EffectsServer, aggregate: Aggregate) -> AsyncIterator[Side]:
    async with wire_to(server.port) as wire:
        config = ServerConfig(id="effects", url=wire.url, trust="fleet")
        async with aggregate(config, token_for=lambda _: server.token) as aggregator:
            yield Side(server, aggregator, wire)


async def test_a_tool_that_asks_runs_with_a_grant_only(side: Side):
    refused = await side.call("send_message", side.mail)
    assert (refused.status, refused.error_code) == ("failed", "approval_required")
    assert side.sent() == []
    assert (await side.approved("send_message", side.mail)).status == "done"
    assert side.sent() == [side.mail]


async def test_one_changed_byte_after_the_approval_is_refused(side: Side):
    permit = Permit(grant=side.grant("send_message", side.mail))
    changed = side.mail | {"body": "See you!"}
    refused = await side.call("send_message", changed, permit=permit)
    assert (refused.status, refused.error_code) == ("failed", "grant_refused")
    assert side.sent() == []


async def test_a_grant_serves_one_call(side: Side):
    permit = Permit(grant=side.grant("send_message", side.mail))
    assert (await side.call("send_message", side.mail, permit=permit)).status == "done"
    again = await side.call("send_message", side.mail, permit=permit)
    other = await side.call("send_message", side.mail, permit=permit, call_id=new_id("call"))
    assert (again.status, other.error_code) == ("done", "grant_refused")
    assert len(side.sent()) == 1


async def test_what_the_server_lists_is_what_the_chat_goes_by(side: Side):
    tool = side.aggregator.tool("effects__post_update")
    assert tool is not None
    assert (tool.labels, tool.level, tool.effect) == (frozenset({"write", "egress"}), 2, "send")
    assert (tool.destinations, tool.account_argument) == (("channel",), "account")
    assert tool.is_journalled


async def test_the_inverse_comes_with_the_result(side: Side):
    moved = await side.approved("move_file", {"path": "/a", "to": "/b"})
    assert moved.undo is not None
    assert moved.undo.tool == "effects__move_file"
    assert moved.undo.arguments == {"path": "/b", "to": "/a"}


async def test_a_lost_answer_is_asked_for_again_and_nothing_runs_twice(side: Side):
    side.wire.cuts_answers = 1
    assert (await side.approved("send_message", side.mail)).status == "done"
    assert side.wire.cuts_answers == 0
    assert len(side.sent()) == 1


async def test_a_call_whose_connection_breaks_while_it_runs_is_joined(side: Side):
    running = asyncio.create_task(side.approved("slow_send", side.slow_mail(1)))
    await eventually(lambda: len(side.sent()) == 1)
    side.wire.cut()
    assert (await running).status == "done"
    assert len(side.sent()) == 1


async def test_a_call_that_two_connections_lost_is_told_by_the_journal(side: Side):
    side.wire.cuts_answers = 2
    assert (await side.approved("send_message", side.mail)).status == "done"
    assert len(side.sent()) == 1


async def test_an_answer_that_comes_too_late_is_read_from_the_journal(side: Side):
    side.wire.holds_answers = True
    late = await side.approved("send_message", side.mail, timeout_s=1)
    assert late.status == "done"
    assert len(side.sent()) == 1


async def test_a_call_that_still_runs_at_its_deadline_is_unknown(side: Side):
    late = await side.approved("slow_send", side.slow_mail(20), timeout_s=0.5)
    assert (late.status, late.error_code) == ("unknown", "outcome_unknown")
    record = await side.aggregator.call_record("effects", side.call_id)
    assert (record.state, record.result) == ("started", None)


async def test_a_call_whose_server_dies_after_its_effect_is_unknown(side: Side):
    running = asyncio.create_task(side.approved("slow_send", side.slow_mail(4)))
    await eventually(lambda: len(side.sent()) == 1)
    side.server.kill()
    await asyncio.to_thread(side.server.start)
    ended = await running
    assert (ended.status, ended.error_code) == ("unknown", "outcome_unknown")
    assert len(side.sent()) == 1
    record = await side.aggregator.call_record("effects", side.call_id)
    assert record.state == "unknown"


async def test_a_call_whose_server_stays_away_is_unknown(side: Side):
    running = asyncio.create_task(side.approved("slow_send", side.slow_mail(4)))
    await eventually(lambda: len(side.sent()) == 1)
    side.server.kill()
    ended = await running
    assert (ended.status, ended.error_code) == ("unknown", "outcome_unknown")
    with pytest.raises(ServerUnavailable):
        await side.aggregator.call_record("effects", side.call_id)


async def test_a_server_that_broke_again_and_again_is_called_as_soon_as_it_is_back(side: Side):
    for _ in range(2):
        # Two tries of each call are lost, so that the breaker opens, the second time for a minute.
        side.wire.cuts_answers = 4
        lost = [await side.call("read_note", {"item_id": "1"}) for _ in range(2)]
        assert {call.status for call in lost} == {"failed"}
        side.wire.cuts_answers = 0
        await side.aggregator.refresh()
    assert (await side.call("read_note", {"item_id": "1"})).status == "done"
    assert side.aggregator.servers()[0].state == "ready"


async def test_the_audit_trail_of_a_server_can_be_read(side: Side):
    await side.approved("send_message", side.mail)
    rows = await side.aggregator.audit_rows("effects")
    row = rows.items[-1]
    assert (row["tool"], row["call_id"], row["outcome"]) == ("send_message", side.call_id, "done")
    assert (row["decision"], row["decided_by"]) == ("approved", "web")
    assert (rows.head.position, rows.head.hash) == (row["position"], row["hash"])
    assert (await side.aggregator.audit_rows("effects", after=row["position"])).items == []
