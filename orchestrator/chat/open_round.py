"""A round that waits for the owner in the store, as far as it came before a restart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from orchestrator.domain.approvals import Approval
from orchestrator.domain.chat import Message, RequestedToolCall, ToolCallRecord, Turn
from orchestrator.domain.questions import Question
from orchestrator.domain.tools import ToolResult
from orchestrator.store import (
    approvals,
    messages,
    questions,
    sessions,
    tool_calls,
    turns,
    usage,
)
from orchestrator.store.in_force import SettingsLayer, session_layer, turn_layer
from orchestrator.store.turns import StoredEvent

_ALL = 1_000_000_000


@dataclass(frozen=True, slots=True)
class OpenRound:
    """The calls of the round, and what became of them."""

    message: Message
    """What the model answered when it asked for the calls."""
    results: Mapping[str, ToolResult]
    """By call id: those that have ended."""
    sources: Sequence[str]
    """Where foreign text in those results came from."""
    approvals: Mapping[str, Approval]
    """By call id: the newest of each."""
    questions: Sequence[Question]
    """All sign-ins that were asked for, oldest first."""
    started: frozenset[str]
    """The calls that the log calls started."""
    told: frozenset[str]
    """The approvals and questions whose end the log tells."""

    @property
    def requests(self) -> list[RequestedToolCall]:
        """The calls in the order they were asked for."""
        return self.message.tool_calls


@dataclass(frozen=True, slots=True)
class WaitingTurn:
    """A turn that waits for the owner since before a restart."""

    owner_id: str
    turn: Turn
    events: list[StoredEvent]
    branch: list[Message]
    """Up to the last message before the open round, oldest first."""
    open_round: OpenRound
    earlier_calls: list[ToolCallRecord]
    """Those of the rounds before, in their order."""
    rounds: int
    cost_microusd: int
    layers: tuple[SettingsLayer, ...]
    """What the turn and its session do differently."""


def read_waiting_turn(conn: Connection, owner_id: str, turn: Turn) -> WaitingTurn:
    """Return all that is needed to go on with the turn."""
    events = turns.events_after(conn, owner_id, turn.id, 0, limit=_ALL)
    leaf, _, _ = messages.end_of_turn(conn, owner_id, turn.id)
    *branch, message = messages.branch(conn, owner_id, turn.session_id, leaf)
    open_ids = {request.tool_call_id for request in message.tool_calls}
    calls = tool_calls.of_turn(conn, owner_id, turn.id)
    open_calls = [call for call in calls if call.tool_call_id in open_ids]
    asked = approvals.of_turn(conn, owner_id, turn.id)
    return WaitingTurn(
        owner_id=owner_id,
        turn=turn,
        events=events,
        branch=branch,
        open_round=OpenRound(
            message=message,
            results=_results(open_calls),
            sources=[source for call in open_calls for source in call.sources],
            approvals={a.tool_call_id: a for a in asked if a.tool_call_id in open_ids},
            questions=[
                question
                for question in questions.of_turn(conn, owner_id, turn.id)
                if question.tool_call_id in open_ids
            ],
            started=_named_in(events, "tool_call_started", "tool_call_id"),
            told=_named_in(events, "approval_resolved", "approval_id")
            | _named_in(events, "question_answered", "question_id"),
        ),
        earlier_calls=[call for call in calls if call.tool_call_id not in open_ids],
        rounds=tool_calls.rounds_of_turn(conn, owner_id, turn.id),
        cost_microusd=usage.cost_of_turn(conn, owner_id, turn.id),
        layers=(
            turn_layer(turns.settings_of(conn, owner_id, turn.id)),
            session_layer(sessions.get(conn, owner_id, turn.session_id).settings),
        ),
    )


def _results(calls: Iterable[ToolCallRecord]) -> dict[str, ToolResult]:
    return {
        call.tool_call_id: ToolResult(call.state, call.text, call.structured, error=call.error)
        for call in calls
        if call.state != "planned" and call.state != "started"
    }


def _named_in(events: Iterable[StoredEvent], kind: str, field: str) -> frozenset[str]:
    return frozenset(msgspec.json.decode(e.data)[field] for e in events if e.type == kind)
