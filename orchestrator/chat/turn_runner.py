"""One turn: rounds of model and tools until the model has nothing more to ask for."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from orchestrator.chat.budget import Reservation, TurnBudget
from orchestrator.chat.call_planner import CallPlanner
from orchestrator.chat.closing import Ending
from orchestrator.chat.ending import ending_at_limit
from orchestrator.chat.events import (
    Notice,
    SourceAdded,
    TurnFinished,
    UsageRecorded,
    attachment_added,
)
from orchestrator.chat.history import WireMessage, assistant_message, tool_message, with_images
from orchestrator.chat.judging import Judge
from orchestrator.chat.limits import Spending
from orchestrator.chat.model_calls import Charge, ModelCall
from orchestrator.chat.open_round import OpenRound
from orchestrator.chat.permits import Permits
from orchestrator.chat.planned_call import PlannedCall
from orchestrator.chat.resources import Resources
from orchestrator.chat.rounds import Rounds
from orchestrator.chat.tool_round import ToolRound
from orchestrator.chat.turn_clock import TurnClock
from orchestrator.chat.turn_log import TurnLog
from orchestrator.chat.turn_plan import TurnPlan
from orchestrator.chat.turn_rows import TurnRows
from orchestrator.domain.chat import AttachmentShown, FinishReason
from orchestrator.errors import ModelRefused, ModelUnavailable
from orchestrator.llm.deltas import (
    Completion,
    CompletionRequest,
    Delta,
    ImageDelta,
    ModelSwitched,
    ReasoningDelta,
    SourceDelta,
    TextDelta,
)
from orchestrator.llm.stream import CompletionStream
from orchestrator.store.shown_attachments import shown


class TurnRunner:
    """Runs one turn; what it raises is for the orchestrator to end the turn with."""

    def __init__(
        self,
        plan: TurnPlan,
        log: TurnLog,
        spending: Spending,
        clock: TurnClock,
        resources: Resources,
    ) -> None:
        self._plan = plan
        self._log = log
        self._spending = spending
        self._clock = clock
        self._resources = resources
        aggregator, owner_id, turn = resources.aggregator, plan.owner_id, plan.turn
        is_open = plan.open_round is not None
        self._rows = TurnRows(owner_id, turn, plan.parent_message_id, has_answer=is_open)
        self._wire = list(plan.history)
        self._untold = dict(plan.left_out)
        self._judge = Judge(resources.settings.policy, plan.owner_texts, plan.sources)
        permits = Permits(resources.database, resources.grants, owner_id, turn.session_id)
        self._planner = CallPlanner(
            aggregator, spending, self._judge, permits, plan.disabled_servers
        )
        self._rounds = Rounds(owner_id, turn, log, clock, resources, permits, self._judge)

    async def run(self) -> Ending | None:
        """Run rounds until the turn is finished in the store; else return how it must end."""
        if self._plan.open_round is not None:
            await self._go_on(self._plan.open_round)
        self._tell_left_out(self._plan.turn.model)
        while True:
            reached = self._spending.reached()
            if reached is not None:
                return ending_at_limit(reached)
            self._spending.rounds += 1
            async with self._resources.calls.reserved(*await self._request()) as call:
                asked = await self._run_round(call)
            if asked is None:
                return None
            await self._see_through(*asked)

    async def _request(self) -> tuple[CompletionRequest, Charge]:
        plan, turn, spending = self._plan, self._plan.turn, self._spending
        request = CompletionRequest(
            model=turn.model,
            messages=await self._resources.attached.with_pictures(self._wire, plan.pictures),
            tools=self._tools(),
            fallback_models=plan.fallback_models,
            parameters=plan.parameters,
            session_id=turn.session_id,
        )
        budget = TurnBudget(spending.cost_microusd, spending.limits.max_cost_microusd)
        where = (turn.session_id, "chat", turn.id, spending.rounds)
        return request, Charge(plan.owner_id, *where, budget)

    async def _run_round(self, call: ModelCall) -> tuple[ToolRound, WireMessage] | None:
        """Ask the model and store what it answered; return what it wants run, None at the end."""
        reasoning_ms = await self._ask_model(call.stream)
        completion = call.completion
        self._add_usage(call)
        images = await self._keep_images(completion) if completion.images else []
        if not completion.tool_calls:
            await self._finish(call, reasoning_ms, images)
            return None
        calls = await self._planner.plan(completion.tool_calls)
        return await self._store_calls(call, reasoning_ms, calls, images)

    async def _ask_model(self, stream: CompletionStream) -> int | None:
        """Stream one round; return how long the model reasoned, in ms."""
        began_s: float | None = None
        reasoning_ms: int | None = None
        async for deltas in stream:
            self._log.raise_if_broken()
            for delta in deltas:
                if isinstance(delta, ReasoningDelta):
                    began_s = began_s or time.monotonic()
                    reasoning_ms = round((time.monotonic() - began_s) * 1000)
                self._relay(delta)
        completion = stream.completion
        if not (completion.text or completion.tool_calls or completion.images):
            if completion.finish_reason == "content_filter":
                raise ModelRefused("The model's provider refused to answer this.")
            raise ModelUnavailable("The model sent an empty answer. Try again.")
        return reasoning_ms

    def _tools(self) -> list[dict[str, Any]]:
        if self._judge.is_quarantined:
            return []
        return self._resources.menu.schemas(self._plan.disabled_servers)

    def _relay(self, delta: Delta) -> None:
        match delta:
            case TextDelta(text):
                self._log.add_delta("text_delta", text)
            case ReasoningDelta(text):
                self._log.add_delta("reasoning_delta", text)
            case SourceDelta(url, title):
                self._log.emit(SourceAdded(url=url, title=title))
            case ModelSwitched(model, reason):
                self._log.emit(Notice(code="model_switched", message=f"{reason} {model} answers."))
                self._tell_left_out(model)
            case ImageDelta():
                pass  # An image is shown once it is kept, at the end of the round.

    def _tell_left_out(self, model: str) -> None:
        if names := self._untold.pop(model, ()):
            message = f"{model} does not take {', '.join(names)}: left out of the request."
            self._log.emit(Notice(code="parameters_left_out", message=message))

    async def _keep_images(self, completion: Completion) -> list[AttachmentShown]:
        """Keep what the model drew; add the events that the commit of the round shows."""
        kept, problems = await self._resources.keeper.of_model(
            self._plan.owner_id, self._plan.turn.session_id, completion.images
        )
        for attachment in kept:
            self._log.add(attachment_added(attachment))
        for problem in problems:
            self._log.add(Notice(code="image_not_kept", message=problem))
        return [shown(attachment) for attachment in kept]

    async def _store_calls(
        self,
        call: ModelCall,
        reasoning_ms: int | None,
        calls: list[PlannedCall],
        images: list[AttachmentShown],
    ) -> tuple[ToolRound, WireMessage]:
        """Store the round with the calls it asks for; return what to run and the answer."""
        tools = self._rounds.round_of(calls, self._rows.store_results)
        store_start = tools.announce()

        def store(conn: Connection) -> None:
            number, ids = self._spending.rounds, [image.id for image in images]
            self._rows.store_round(conn, number, call, reasoning_ms, calls, ids)
            store_start(conn)

        await self._commit(store, call)
        completion = call.completion
        requested = [planned.request for planned in calls]
        text = with_images(completion.text, images)
        return tools, assistant_message(text, requested, completion.reasoning_details)

    async def _go_on(self, open_round: OpenRound) -> None:
        """Run what is left of a round that waited for the owner during a restart."""
        calls = [
            self._planner.planned_again(request, open_round.approvals.get(request.tool_call_id))
            for request in open_round.requests
        ]
        message = open_round.message
        text = with_images(message.content, message.attachments)
        answer = assistant_message(text, message.tool_calls, message.reasoning_details)
        tools = self._rounds.round_of(calls, self._rows.store_results, open_round)
        await self._see_through(tools, answer)

    async def _see_through(self, tools: ToolRound, answer: WireMessage) -> None:
        """Run the calls, and add what the model asked and what came of it to the history."""
        await tools.run()
        self._spending.count_results(result.status for result in tools.results.values())
        self._judge.learn(tools.sources)
        self._wire.append(answer)
        self._wire.extend(
            tool_message(call.id, call.request.tool, tools.results[call.id].text)
            for call in tools.calls
        )

    async def _commit(self, store: Callable[[Connection], None], call: ModelCall) -> None:
        """Store a round together with its cost."""
        await self._log.commit(store)
        call.is_stored = True

    async def _finish(
        self, call: ModelCall, reasoning_ms: int | None, images: list[AttachmentShown]
    ) -> None:
        completion = call.completion
        for notice in _notices(completion, call.reservation):
            self._log.add(notice)
        reason: FinishReason = "length" if completion.finish_reason == "length" else "stop"
        duration_ms = round(self._clock.elapsed_s * 1000)
        cost = self._spending.cost_microusd
        last_seq = self._log.add(
            TurnFinished(finish_reason=reason, cost_microusd=cost, duration_ms=duration_ms)
        )

        def store(conn: Connection) -> None:
            number, ids = self._spending.rounds, [image.id for image in images]
            self._rows.store_round(conn, number, call, reasoning_ms, [], ids)
            self._rows.store_end(conn, reason, last_seq=last_seq, cost_microusd=cost)

        await self._commit(store, call)

    def _add_usage(self, call: ModelCall) -> None:
        """Count what the round cost, and tell it where upstream does."""
        self._spending.cost_microusd += call.cost_microusd
        completion, spent = call.completion, call.completion.usage
        if spent is None:
            return
        self._log.add(
            UsageRecorded(
                round=self._spending.rounds,
                model=completion.model,
                prompt_tokens=spent.prompt_tokens,
                completion_tokens=spent.completion_tokens,
                reasoning_tokens=spent.reasoning_tokens,
                cached_tokens=spent.cached_tokens,
                cost_microusd=call.cost_microusd,
            )
        )


def _notices(completion: Completion, reservation: Reservation) -> list[Notice]:
    """Return why the answer is shorter than the model meant it to be."""
    if completion.finish_reason == "content_filter":
        why = "The provider's content filter cut this answer off."
        return [Notice(code="content_filter", message=why)]
    if completion.finish_reason == "length" and reservation.shortened_by is not None:
        why = (
            f"The answer was cut off after {reservation.max_tokens} tokens: that is all that "
            f"{reservation.shortened_by} still pays for."
        )
        return [Notice(code="limit_reached", message=why)]
    return []
