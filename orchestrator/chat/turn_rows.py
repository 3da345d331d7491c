"""The rows of one turn: messages, planned calls, usage and the end, each under the one before."""

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.chat.model_calls import ModelCall
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.domain.chat import FinishReason, Turn
from orchestrator.domain.ids import new_id
from orchestrator.store import messages, sessions, tool_calls, turns


class TurnRows:
    """Writes the rows of a running turn; every method runs inside a transaction."""

    def __init__(
        self, owner_id: str, turn: Turn, parent_message_id: str | None, *, has_answer: bool
    ) -> None:
        """`has_answer` tells whether the first answer of the turn is stored already."""
        self._owner_id = owner_id
        self._turn = turn
        self._leaf = parent_message_id
        self._message_id = new_id("msg") if has_answer else turn.assistant_message_id

    def store_round(
        self,
        conn: Connection,
        round_number: int,
        call: ModelCall,
        reasoning_ms: int | None,
        calls: Sequence[PlannedCall],
        image_ids: Sequence[str],
    ) -> None:
        """Store what the model answered in one round, with its cost and the calls it asked for.

        `image_ids` are the attachments that hold the images it made.
        """
        turn, completion = self._turn, call.completion
        requested = [planned.request for planned in calls]
        call.store(conn, self._message_id)
        messages.insert_assistant(
            conn,
            self._owner_id,
            message_id=self._message_id,
            session_id=turn.session_id,
            parent_id=self._leaf,
            turn_id=turn.id,
            text=completion.text,
            complete=True,
            reasoning=completion.reasoning,
            reasoning_ms=reasoning_ms,
            reasoning_details=completion.reasoning_details,
            requested=requested,
            sources=[{"url": s.url, "title": s.title} for s in completion.sources],
            attachment_ids=image_ids,
        )
        self._leaf, self._message_id = self._message_id, new_id("msg")
        tool_calls.plan(
            conn,
            self._owner_id,
            session_id=turn.session_id,
            turn_id=turn.id,
            round_number=round_number,
            requested=requested,
            effects={
                planned.request.tool: planned.definition.effect
                for planned in calls
                if planned.definition
            },
        )

    def store_results(self, conn: Connection, tool_call_ids: list[str]) -> None:
        """Store one message per tool call of the round."""
        if self._leaf is None:
            raise RuntimeError("results need the message that asked for them")
        self._leaf = messages.insert_tool_results(
            conn,
            self._owner_id,
            session_id=self._turn.session_id,
            parent_id=self._leaf,
            turn_id=self._turn.id,
            tool_call_ids=tool_call_ids,
        )

    def store_end(
        self, conn: Connection, reason: FinishReason, *, last_seq: int, cost_microusd: int
    ) -> None:
        """Mark the turn as finished and show its branch."""
        if self._leaf is not None:
            sessions.move_leaf(conn, self._owner_id, self._turn.session_id, self._leaf)
        turns.finish(
            conn,
            self._owner_id,
            self._turn.id,
            state="finished",
            last_seq=last_seq,
            cost_microusd=cost_microusd,
            finish_reason=reason,
        )
