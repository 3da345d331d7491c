"""Gathers what a turn needs to know: the system prompt, the branch, and what came from where."""

from collections.abc import Sequence
from contextlib import suppress

from orchestrator.chat.accepting import Accepted
from orchestrator.chat.attached import FilesOfBranch, sources_in
from orchestrator.chat.history import CONTINUE, WireMessage, to_wire
from orchestrator.chat.open_round import WaitingTurn
from orchestrator.chat.prompts import system_prompt
from orchestrator.chat.resources import Resources
from orchestrator.chat.turn_plan import TurnPlan
from orchestrator.domain.chat import Message, Turn
from orchestrator.domain.times import utc_now
from orchestrator.errors import UnknownEndpoint
from orchestrator.llm.request import request_fields
from orchestrator.store import messages
from orchestrator.store.in_force import InForce, SettingsLayer, in_force

SETTLE_S = 1.0
IMPORTED = "a chat that was imported from a file"


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
        settings = self._in_force(accepted.layers)
        parameters = request_fields(settings.parameters, settings.provider)
        return TurnPlan(
            owner_id=owner_id,
            turn=turn,
            parent_message_id=accepted.parent_message_id,
            history=self._wire(turn, history, settings),
            pictures=files.pictures,
            fallback_models=settings.fallback_models,
            parameters=parameters,
            left_out=await self._left_out(turn.model, settings) if parameters else {},
            disabled_servers=settings.disabled_servers,
            owner_texts=owner_texts,
            sources=sources,
        )

    async def plan_again(self, waiting: WaitingTurn) -> TurnPlan:
        """Return the plan of a turn that waited for the owner during a restart."""
        await self._settle_fleet()
        owner_id, turn, branch = waiting.owner_id, waiting.turn, waiting.branch
        files = await self._resources.attached.of_branch(owner_id, turn.model, branch)
        settings = self._in_force(waiting.layers)
        return TurnPlan(
            owner_id=owner_id,
            turn=turn,
            parent_message_id=waiting.open_round.message.id,
            history=self._wire(turn, to_wire(branch, files.parts), settings),
            pictures=files.pictures,
            fallback_models=settings.fallback_models,
            parameters=request_fields(settings.parameters, settings.provider),
            disabled_servers=settings.disabled_servers,
            owner_texts=_typed_in(branch),
            sources=_read_in(branch),
            open_round=waiting.open_round,
        )

    async def _settle_fleet(self) -> None:
        """Right after the start the servers are still answering for the first time."""
        if not self._is_fleet_settled:
            await self._resources.aggregator.wait_until_settled(SETTLE_S)
            self._is_fleet_settled = True

    def _in_force(self, layers: tuple[SettingsLayer, ...]) -> InForce:
        """Return the settings of a turn: what was changed meanwhile counts from now on."""
        return in_force((*layers, *self._resources.settings.model_layers()))

    async def _left_out(self, model: str, settings: InForce) -> dict[str, tuple[str, ...]]:
        """Return what each model would not be sent; whoever asks an unknown one is told then."""
        found: dict[str, tuple[str, ...]] = {}
        for each in (model, *settings.fallback_models):
            with suppress(UnknownEndpoint):
                found[each] = await self._resources.llm.left_out(
                    each, settings.parameters, settings.provider
                )
        return found

    def _wire(
        self, turn: Turn, history: Sequence[WireMessage], settings: InForce
    ) -> list[WireMessage]:
        servers = [
            server
            for server in self._resources.aggregator.servers()
            if server.id not in settings.disabled_servers
        ]
        zone = self._resources.settings.timezone
        text = system_prompt(settings.system_prompt, utc_now(), zone, servers)
        wire = [{"role": "system", "content": text}, *history]
        if turn.user_message_id is None and wire[-1]["role"] == "assistant":
            wire.append({"role": "user", "content": CONTINUE})
        return wire


def _typed_in(branch: Sequence[Message]) -> list[str]:
    return [m.content for m in branch if m.role == "user" and not m.imported]


def _read_in(branch: Sequence[Message]) -> list[str]:
    sources = [IMPORTED] if any(message.imported for message in branch) else list[str]()
    for message in branch:
        if message.tool_call is not None:
            sources += message.tool_call.sources
        if message.role == "user":
            sources += sources_in(message.attachments)
    return sources
