"""Gathers what a turn needs to know: the system prompt, the branch, and what came from where."""

from collections.abc import Sequence

from orchestrator.chat.accepting import Accepted
from orchestrator.chat.attached import FilesOfBranch, sources_in
from orchestrator.chat.history import CONTINUE, WireMessage, to_wire
from orchestrator.chat.open_round import WaitingTurn
from orchestrator.chat.prompts import system_prompt
from orchestrator.chat.resources import Resources
from orchestrator.chat.turn_plan import TurnPlan
from orchestrator.domain.chat import Message, Turn
from orchestrator.domain.times import utc_now
from orchestrator.store import messages

SETTLE_S = 1.0


class TurnPlanner:
    """Makes the plans of all turns."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._is_fleet_settled = False

    async def plan(self, owner_id: str, accepted: Accepted) -> TurnPlan:
        """Return the plan of a turn that begins."""
        await self._settle_fleet()
        turn, files = accepted.turn, FilesOfBranch()
        if accepted.opening is not None:
            history: list[WireMessage] = [{"role": "user", "content": accepted.opening}]
            owner_texts, sources = [accepted.opening], list[str]()
        else:
            branch = await self._resources.database.read(
                messages.branch, owner_id, turn.session_id, accepted.parent_message_id
            )
            files = await self._resources.attached.of_branch(owner_id, turn.model, branch)
            history = to_wire(branch, files.parts)
            owner_texts, sources = _typed_in(branch), _read_in(branch)
        return TurnPlan(
            owner_id=owner_id,
            turn=turn,
            parent_message_id=accepted.parent_message_id,
            history=self._wire(turn, history),
            pictures=files.pictures,
            fallback_models=self._resources.settings.fallback_models,
            parameters=accepted.parameters,
            owner_texts=owner_texts,
            sources=sources,
        )

    async def plan_again(self, waiting: WaitingTurn) -> TurnPlan:
        """Return the plan of a turn that waited for the owner during a restart."""
        await self._settle_fleet()
        owner_id, turn, branch = waiting.owner_id, waiting.turn, waiting.branch
        files = await self._resources.attached.of_branch(owner_id, turn.model, branch)
        return TurnPlan(
            owner_id=owner_id,
            turn=turn,
            parent_message_id=waiting.open_round.message.id,
            history=self._wire(turn, to_wire(branch, files.parts)),
            pictures=files.pictures,
            fallback_models=self._resources.settings.fallback_models,
            parameters=waiting.parameters,
            owner_texts=_typed_in(branch),
            sources=_read_in(branch),
            open_round=waiting.open_round,
        )

    async def _settle_fleet(self) -> None:
        """Right after the start the servers are still answering for the first time."""
        if not self._is_fleet_settled:
            await self._resources.aggregator.wait_until_settled(SETTLE_S)
            self._is_fleet_settled = True

    def _wire(self, turn: Turn, history: Sequence[WireMessage]) -> list[WireMessage]:
        settings = self._resources.settings
        servers = self._resources.aggregator.servers()
        text = system_prompt(settings.system_prompt, utc_now(), settings.timezone, servers)
        wire = [{"role": "system", "content": text}, *history]
        if turn.user_message_id is None and wire[-1]["role"] == "assistant":
            wire.append({"role": "user", "content": CONTINUE})
        return wire


def _typed_in(branch: Sequence[Message]) -> list[str]:
    return [message.content for message in branch if message.role == "user"]


def _read_in(branch: Sequence[Message]) -> list[str]:
    sources: list[str] = []
    for message in branch:
        if message.tool_call is not None:
            sources += message.tool_call.sources
        if message.role == "user":
            sources += sources_in(message.attachments)
    return sources
