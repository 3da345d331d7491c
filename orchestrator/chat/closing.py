"""Ending a turn before its time: stopped, failed or left running by a crash.

It works from the rows and the event log alone, so a live turn and a turn of a killed process end
the same way: the partial answer is kept, and every open tool call gets a result.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from orchestrator.chat.asking import resolved
from orchestrator.chat.effects import effects_notice
from orchestrator.chat.estimating import tokens_of
from orchestrator.chat.events import AnyEvent, Notice, ToolCallFinished, TurnFailed, TurnFinished
from orchestrator.chat.signing_in import answered
from orchestrator.domain.chat import FinishReason, ToolCallRecord, Turn, TurnError, TurnState
from orchestrator.domain.ids import new_id
from orchestrator.domain.times import utc_now
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
from orchestrator.store.turns import StoredEvent

CANCELLED_BY = "turn"
_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn ends: with a reason, or with an error."""

    state: TurnState
    finish_reason: FinishReason | None = None
    error: TurnError | None = None
    retry_after_s: float | None = None
    notice: Notice | None = None


STOPPED = Ending("cancelled", finish_reason="cancelled")
INTERRUPTED = Ending(
    "interrupted",
    error=TurnError(
        code="interrupted",
        message="The assistant was restarted in the middle of this answer. Continue when you like.",
        retryable=True,
    ),
)


@dataclass(slots=True)
class _Partial:
    """What the log holds beyond the last stored message of the turn."""

    text: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    last_seq: int = 0

    def add(self, event: StoredEvent) -> None:
        """Read on: a round's message is stored before its calls start."""
        self.last_seq = event.seq
        if event.type in ("tool_call_started", "approval_requested"):
            self.text, self.reasoning = [], []
        elif event.type == "text_delta":
            self.text.append(json.loads(event.data)["text"])
        elif event.type == "reasoning_delta":
            self.reasoning.append(json.loads(event.data)["text"])


def close_live_turn(
    conn: Connection, owner_id: str, turn: Turn, pending: list[StoredEvent], ending: Ending
) -> list[StoredEvent]:
    """As `close_turn`, except that a turn that waits for the owner outlives its process."""
    if ending is INTERRUPTED and turns.get(conn, owner_id, turn.id).waiting_since is not None:
        return []
    return close_turn(conn, owner_id, turn, pending, ending)


def close_turn(
    conn: Connection, owner_id: str, turn: Turn, pending: list[StoredEvent], ending: Ending
) -> list[StoredEvent]:
    """End the turn in the store; return the events that were added to those in the store.

    Those of `pending` that are there already are not added again. A turn that has ended already
    stays as it is. Raises NotFound when its session was deleted.
    """
    if turns.get(conn, owner_id, turn.id).state != "running":
        return []
    partial = _partial(conn, owner_id, turn.id)
    new = [event for event in pending if event.seq > partial.last_seq]
    kept = [replace(event, seq=seq) for seq, event in enumerate(new, start=partial.last_seq + 1)]
    for event in kept:
        partial.add(event)
    calls = tool_calls.of_turn(conn, owner_id, turn.id)
    closed = [_close_call(conn, owner_id, call) for call in calls if call.duration_ms is None]
    cancelled = approvals.cancel_of_turn(conn, owner_id, turn.id, by=CANCELLED_BY)
    unanswered = questions.cancel_of_turn(conn, owner_id, turn.id)
    leaf = _store_messages(conn, owner_id, turn, partial, calls)
    if leaf is not None:
        sessions.move_leaf(conn, owner_id, turn.session_id, leaf)
    cost = usage.cost_of_turn(conn, owner_id, turn.id)
    last: list[AnyEvent] = [*map(resolved, cancelled), *map(answered, unanswered), *closed]
    last += _notices(conn, owner_id, turn, ending)
    last.append(_terminal(turn, ending, cost))
    added = [*kept, *_numbered(last, partial.last_seq)]
    turns.append_events(conn, [(turn.id, event) for event in added])
    turns.finish(
        conn,
        owner_id,
        turn.id,
        state=ending.state,
        last_seq=added[-1].seq,
        cost_microusd=cost,
        finish_reason=ending.finish_reason,
        error=ending.error,
    )
    return added


def close_interrupted(conn: Connection) -> list[Turn]:
    """End every turn that a crash left running; return them. Those that wait go on waiting."""
    left = turns.left_running(conn)
    for owner_id, turn in left:
        close_turn(conn, owner_id, turn, [], INTERRUPTED)
    return [turn for _, turn in left]


def _partial(conn: Connection, owner_id: str, turn_id: str) -> _Partial:
    """Gather the deltas after the last tool call."""
    partial = _Partial()
    while True:
        page = turns.events_after(conn, owner_id, turn_id, partial.last_seq, limit=_PAGE)
        for event in page:
            partial.add(event)
        if len(page) < _PAGE:
            return partial


def _close_call(conn: Connection, owner_id: str, call: ToolCallRecord) -> ToolCallFinished:
    """Give an open call the result it will never get from its server."""
    if call.state == "started" and not call.read_only:
        result = ToolResult(
            status="unknown",
            text="The outcome is unknown: the turn stopped while this call was running. "
            "Check before doing it again.",
            error="Nobody knows whether this took effect. Check before doing it again.",
            error_code="outcome_unknown",
        )
    else:
        why = "The turn stopped before this call ended."
        result = ToolResult(status="cancelled", text=why, error=why, error_code="cancelled")
    duration_ms = 0
    if call.started_at is not None:
        started = datetime.fromisoformat(call.started_at)
        duration_ms = max(0, round((utc_now() - started).total_seconds() * 1000))
    tool_calls.finish(conn, owner_id, call.tool_call_id, result, duration_ms)
    return ToolCallFinished(
        tool_call_id=call.tool_call_id,
        status=result.status,
        duration_ms=duration_ms,
        text=result.text,
        error=result.error,
    )


def _store_messages(
    conn: Connection, owner_id: str, turn: Turn, partial: _Partial, calls: list[ToolCallRecord]
) -> str | None:
    """Store the tool results and the partial answer that no message holds; return the new leaf."""
    leaf, answered, has_answer = messages.end_of_turn(conn, owner_id, turn.id)
    unanswered = [call.tool_call_id for call in calls if call.tool_call_id not in answered]
    place: dict[str, Any] = {"session_id": turn.session_id, "turn_id": turn.id}
    if unanswered and leaf is not None:
        leaf = messages.insert_tool_results(
            conn, owner_id, parent_id=leaf, tool_call_ids=unanswered, **place
        )
    if partial.text or partial.reasoning:
        message_id = new_id("msg") if has_answer else turn.assistant_message_id
        messages.insert_assistant(
            conn,
            owner_id,
            message_id=message_id,
            parent_id=leaf or turns.parent_message_id(conn, owner_id, turn.id),
            text="".join(partial.text),
            complete=False,
            reasoning="".join(partial.reasoning),
            **place,
        )
        if not usage.attach_to_message(conn, owner_id, turn.id, message_id):
            _store_lost_usage(conn, owner_id, turn, message_id, partial)
        leaf = message_id
    return leaf


def _store_lost_usage(
    conn: Connection, owner_id: str, turn: Turn, message_id: str, partial: _Partial
) -> None:
    """Record a request whose process died, with what the dearest of its session cost.

    Only that process knew by which id the vendor could be asked.
    """
    row = usage.UsageRow(
        session_id=turn.session_id,
        turn_id=turn.id,
        round=tool_calls.rounds_of_turn(conn, owner_id, turn.id) + 1,
        purpose="chat",
        model=turn.model,
        prompt_tokens=0,
        completion_tokens=tokens_of("".join(partial.text + partial.reasoning)),
        reasoning_tokens=0,
        cached_tokens=0,
        cost_microusd=usage.dearest_of_session(conn, owner_id, turn.session_id),
        generation_id=None,
        state="estimated",
        message_id=message_id,
    )
    usage.record(conn, owner_id, [row])


def _notices(conn: Connection, owner_id: str, turn: Turn, ending: Ending) -> list[Notice]:
    """Return what the owner should know; of a turn he stopped, what it had done by then."""
    said = [ending.notice]
    if ending.finish_reason in ("cancelled", "limit"):
        said.append(effects_notice(tool_calls.of_turn(conn, owner_id, turn.id)))
    return [notice for notice in said if notice is not None]


def _terminal(turn: Turn, ending: Ending, cost_microusd: int) -> TurnFailed | TurnFinished:
    if ending.error is not None:
        return TurnFailed(
            code=ending.error.code,
            message=ending.error.message,
            retryable=ending.error.retryable,
            retry_after_s=ending.retry_after_s,
        )
    started = datetime.fromisoformat(turn.created_at)
    duration_ms = max(0, round((utc_now() - started).total_seconds() * 1000))
    return TurnFinished(
        finish_reason=ending.finish_reason or "cancelled",
        cost_microusd=cost_microusd,
        duration_ms=duration_ms,
    )


def _numbered(events: list[AnyEvent], last_seq: int) -> list[StoredEvent]:
    return [
        StoredEvent(seq, event.type, event.model_dump_json().encode())
        for seq, event in enumerate(events, start=last_seq + 1)
    ]
