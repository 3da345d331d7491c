"""One turn: rounds of model and tools until the model has nothing more to ask for."""

import time

from sqlalchemy import Connection

from orchestrator.chat.events import Notice, SourceAdded, TurnFinished, UsageRecorded
from orchestrator.chat.history import assistant_message, tool_message
from orchestrator.chat.limits import Spending
from orchestrator.chat.tool_menu import ToolMenu
from orchestrator.chat.tool_round import PlannedCall, ToolRound, plan_calls
from orchestrator.chat.turn_log import TurnLog
from orchestrator.chat.turn_plan import TurnPlan
from orchestrator.chat.turn_rows import TurnRows
from orchestrator.domain.chat import FinishReason
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
from orchestrator.llm.openrouter import OpenRouterClient
from orchestrator.tools.aggregator import MCPToolAggregator


class TurnRunner:
    """Runs one turn; what it raises is for the orchestrator to end the turn with."""

    def __init__(
        self,
        plan: TurnPlan,
        log: TurnLog,
        spending: Spending,
        *,
        llm: OpenRouterClient,
        aggregator: MCPToolAggregator,
        menu: ToolMenu,
    ) -> None:
        self._plan = plan
        self._log = log
        self._spending = spending
        self._llm = llm
        self._aggregator = aggregator
        self._menu = menu
        self._rows = TurnRows(plan.owner_id, plan.turn, plan.parent_message_id)
        self._wire = list(plan.history)
        self._started_s = time.monotonic()

    async def run(self) -> None:
        """Run rounds until the turn is finished in the store."""
        while True:
            self._spending.rounds += 1
            completion, reasoning_ms = await self._ask_model()
            self._add_usage(completion)
            if not completion.tool_calls:
                await self._finish(completion, reasoning_ms)
                return
            calls = plan_calls(completion.tool_calls, self._aggregator, self._spending)
            await self._run_tools(completion, reasoning_ms, calls)
            reached = self._spending.reached()
            if reached is not None:
                await self._finish_at_limit(reached)
                return

    async def _ask_model(self) -> tuple[Completion, int | None]:
        """Stream one round; return what came and how long the model reasoned, in ms."""
        request = CompletionRequest(
            model=self._plan.turn.model,
            messages=self._wire,
            tools=self._menu.schemas(),
            fallback_models=self._plan.fallback_models,
            parameters=self._plan.parameters,
            session_id=self._plan.turn.session_id,
        )
        began_s: float | None = None
        reasoning_ms: int | None = None
        async with self._llm.stream(request) as stream:
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
        return completion, reasoning_ms

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
            case ImageDelta():
                why = "The model sent an image, which this version cannot keep."
                self._log.emit(Notice(code="image_not_kept", message=why))

    async def _run_tools(
        self, completion: Completion, reasoning_ms: int | None, calls: list[PlannedCall]
    ) -> None:
        """Store the round with its calls, run them, and add both to the history."""
        tools = ToolRound(self._plan, self._log, self._aggregator, calls)
        requested = [call.request for call in calls]
        call_ids = [request.tool_call_id for request in requested]

        def store(conn: Connection) -> None:
            self._rows.store_round(conn, self._spending.rounds, completion, reasoning_ms, calls)
            tools.start_first(conn)

        tools.announce_first()
        await self._log.commit(store)
        await tools.run(lambda conn: self._rows.store_results(conn, call_ids))
        results = tools.results
        self._spending.tool_errors += sum(result.error is not None for result in results.values())
        self._wire.append(
            assistant_message(completion.text, requested, completion.reasoning_details)
        )
        self._wire.extend(
            tool_message(request.tool_call_id, request.tool, results[request.tool_call_id].text)
            for request in requested
        )

    async def _finish(self, completion: Completion, reasoning_ms: int | None) -> None:
        if completion.finish_reason == "content_filter":
            why = "The provider's content filter cut this answer off."
            self._log.add(Notice(code="content_filter", message=why))
        reason: FinishReason = "length" if completion.finish_reason == "length" else "stop"
        last_seq = self._add_end(reason)

        def store(conn: Connection) -> None:
            self._rows.store_round(conn, self._spending.rounds, completion, reasoning_ms, [])
            self._store_end(conn, reason, last_seq)

        await self._log.commit(store)

    async def _finish_at_limit(self, why: str) -> None:
        self._log.add(Notice(code="limit_reached", message=why))
        last_seq = self._add_end("limit")
        await self._log.commit(lambda conn: self._store_end(conn, "limit", last_seq))

    def _add_end(self, reason: FinishReason) -> int:
        duration_ms = round((time.monotonic() - self._started_s) * 1000)
        cost = self._spending.cost_microusd
        return self._log.add(
            TurnFinished(finish_reason=reason, cost_microusd=cost, duration_ms=duration_ms)
        )

    def _store_end(self, conn: Connection, reason: FinishReason, last_seq: int) -> None:
        cost = self._spending.cost_microusd
        self._rows.store_end(conn, reason, last_seq=last_seq, cost_microusd=cost)

    def _add_usage(self, completion: Completion) -> None:
        """Count what the round cost; an upstream that reports nothing costs nothing known."""
        spent = completion.usage
        if spent is None:
            return
        self._spending.cost_microusd += spent.cost_microusd
        self._log.add(
            UsageRecorded(
                round=self._spending.rounds,
                model=completion.model,
                prompt_tokens=spent.prompt_tokens,
                completion_tokens=spent.completion_tokens,
                reasoning_tokens=spent.reasoning_tokens,
                cached_tokens=spent.cached_tokens,
                cost_microusd=spent.cost_microusd,
            )
        )
