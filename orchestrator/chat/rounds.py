"""Makes the rounds of one turn out of what they share."""

from collections.abc import Callable

from sqlalchemy import Connection

from orchestrator.chat.asking import Asking
from orchestrator.chat.call_runner import CallRunner
from orchestrator.chat.judging import Judge
from orchestrator.chat.open_round import OpenRound
from orchestrator.chat.permits import Permits
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.chat.resources import Resources
from orchestrator.chat.sending import Sender
from orchestrator.chat.signing_in import SignIns
from orchestrator.chat.tool_round import ToolRound
from orchestrator.chat.turn_clock import TurnClock
from orchestrator.chat.turn_log import TurnLog
from orchestrator.domain.chat import Turn


class Rounds:
    """The rounds of a turn write one log, share one clock and one judge."""

    def __init__(
        self,
        owner_id: str,
        turn: Turn,
        log: TurnLog,
        clock: TurnClock,
        resources: Resources,
        permits: Permits,
        judge: Judge,
    ) -> None:
        self._owner_id = owner_id
        self._turn = turn
        self._log = log
        self._clock = clock
        self._resources = resources
        self._judge = judge
        sender = Sender(log, resources.aggregator)
        self._runner = CallRunner(turn.id, resources.aggregator, sender, permits, judge)

    def round_of(
        self,
        calls: list[PlannedCall],
        store_results: Callable[[Connection, list[str]], None],
        open_round: OpenRound | None = None,
    ) -> ToolRound:
        """Return a round that is to run; `open_round` tells how far it came before a restart.

        `store_results` stores one message for each of the calls, in the order of their ids.
        """
        call_ids = [call.id for call in calls]
        resources, lifetime_h = self._resources, self._resources.settings.approval_lifetime_h
        sign_ins = SignIns(
            self._owner_id,
            self._turn,
            self._log,
            resources.questions,
            lifetime_h=lifetime_h,
            open_round=open_round,
        )
        asking = Asking(
            self._owner_id,
            self._turn,
            self._log,
            resources.inbox,
            resources.aggregator.previews,
            sign_ins,
            lifetime_h=lifetime_h,
            taint=self._judge.taint.sources,
            open_round=open_round,
        )
        return ToolRound(
            self._owner_id,
            self._turn,
            calls,
            log=self._log,
            clock=self._clock,
            asking=asking,
            sign_ins=sign_ins,
            runner=self._runner,
            keeper=resources.keeper,
            store_messages=lambda conn: store_results(conn, call_ids),
            open_round=open_round,
        )
