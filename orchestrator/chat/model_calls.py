"""Requests to models with their money: put aside before, counted and recorded after.

Whoever asks a model asks here, so that no request passes a cap and none is missing from the ledger.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.chat.budget import Budget, Estimate, Reservation, TurnBudget
from orchestrator.chat.estimating import (
    PriceList,
    answer_tokens,
    cost_of,
    estimate,
    price_list,
    prompt_tokens,
)
from orchestrator.chat.noting import Noting
from orchestrator.chat.settling import Settler
from orchestrator.domain.ids import new_id
from orchestrator.errors import FlotillaError
from orchestrator.llm.deltas import Completion, CompletionRequest, Usage
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.llm.stream import CompletionStream
from orchestrator.store import usage
from orchestrator.store.database import Database
from orchestrator.store.usage import Purpose, UsageRow, UsageState

logger = logging.getLogger(__name__)

_SESSIONS_REMEMBERED = 1_024
_CAN_BE_ASKED_FOR = "gen-"
"""How the ids of OpenRouter's generations begin, whose cost it still tells later."""


@dataclass(frozen=True, slots=True)
class Charge:
    """Whom a request is charged to, and what it is for."""

    owner_id: str
    session_id: str
    purpose: Purpose
    turn_id: str = ""
    """Empty when it is made for no turn."""
    round: int = 0
    turn: TurnBudget | None = None
    """None when no turn's cap applies."""


class ModelCall:
    """One request: its stream, and the rows of the ledger that it amounts to."""

    def __init__(
        self,
        charge: Charge,
        request: CompletionRequest,
        reservation: Reservation,
        prices: PriceList,
        expected_microusd: int,
        stream: CompletionStream,
    ) -> None:
        self.stream = stream
        self.reservation = reservation
        self.is_stored = False
        """Set it once the transaction of `store` has been committed."""
        self.is_noted = False
        """Whether rows may be stored already, from while the answer was coming."""
        self._charge = charge
        self._request = request
        self._prices = prices
        self._expected_microusd = expected_microusd
        self._ids: list[str] = []
        self._told: list[UsageRow] = []
        """The rows once they cannot change any more."""

    @property
    def completion(self) -> Completion:
        """What has come so far."""
        return self.stream.completion

    @property
    def is_told(self) -> bool:
        """Whether the answer has come so far that its cost is known."""
        return self.is_stored or self.completion.usage is not None

    @property
    def cost_microusd(self) -> int:
        """What the request has cost, as far as it is known."""
        return sum(row.cost_microusd for row in self.rows())

    def store(self, conn: Connection, message_id: str | None = None) -> None:
        """Record the cost together with what else the transaction stores."""
        rows = self.rows(message_id)
        if self.is_noted:
            usage.forget_unsettled(conn, self._charge.owner_id, [row.id for row in rows])
        usage.record(conn, self._charge.owner_id, rows)

    def rows(self, message_id: str | None = None) -> list[UsageRow]:
        """Return one row for each answer that began; the same ids each time."""
        rows = self._told
        if not rows:
            began = [each for each in (*self.stream.abandoned, self.completion) if _has_begun(each)]
            self._ids += [new_id("use") for _ in began[len(self._ids) :]]
            rows = [self._row(*each) for each in zip(self._ids, began, strict=True)]
            if self.completion.usage is not None:
                self._told = rows
        return rows if message_id is None else [replace(r, message_id=message_id) for r in rows]

    def _row(self, row_id: str, completion: Completion) -> UsageRow:
        charge, told = self._charge, completion.usage or self._guessed(completion)
        return UsageRow(
            id=row_id,
            session_id=charge.session_id,
            turn_id=charge.turn_id,
            round=charge.round,
            purpose=charge.purpose,
            model=completion.model,
            prompt_tokens=told.prompt_tokens,
            completion_tokens=told.completion_tokens,
            reasoning_tokens=told.reasoning_tokens,
            cached_tokens=told.cached_tokens,
            cost_microusd=told.cost_microusd if told.is_priced else self._priced(completion, told),
            generation_id=completion.generation_id,
            state="final" if told.is_priced else _state(completion),
        )

    def _guessed(self, completion: Completion) -> Usage:
        """Return what an answer used that broke off; without prices, what others cost before."""
        used = Usage(
            prompt_tokens=prompt_tokens(self._request),
            completion_tokens=answer_tokens(completion),
            is_priced=False,
        )
        is_known = self._prices.of_answer(completion.model) is not None
        return used if is_known else replace(used, cost_microusd=self._expected_microusd)

    def _priced(self, completion: Completion, used: Usage) -> int:
        prices = self._prices.of_answer(completion.model)
        if prices is None:
            return used.cost_microusd
        return cost_of(self._request, used.prompt_tokens, used.completion_tokens, prices)


class ModelCalls:
    """Makes the requests of all purposes."""

    def __init__(
        self,
        llm: ModelEndpoints,
        budget: Budget,
        database: Database,
        settler: Settler,
    ) -> None:
        self._llm = llm
        self._budget = budget
        self._database = database
        self._settler = settler
        self._dearest: OrderedDict[str, int] = OrderedDict()
        """By session: what its dearest request cost, where that had to be known."""

    @asynccontextmanager
    async def reserved(
        self, request: CompletionRequest, charge: Charge
    ) -> AsyncGenerator[ModelCall]:
        """Give a request whose money is put aside; iterate over its `stream`.

        Leave the block when the cost is stored (`ModelCall.store`, then `is_stored`): what is not
        stored by then, because the answer broke or was stopped, is recorded here. Raises
        CostLimitReached instead of sending a request that could pass a cap.
        """
        models = (request.model, *request.fallback_models)
        prices = price_list({model: await self._llm.info(model) for model in models})
        before = await self._dearest_before(request, charge) if prices.silent else 0
        expected = _expected(request, prices, before)
        reservation = await self._budget.reserve(charge.owner_id, expected, charge.turn)
        call = None
        try:
            sent = _shortened(request, reservation.max_tokens)
            async with self._llm.stream(sent) as stream:
                call = ModelCall(charge, sent, reservation, prices, before, stream)
                noting = Noting(self._database, self._settler, charge.owner_id, call)
                try:
                    yield call
                finally:
                    await noting.end()
        finally:
            await self._close(reservation, charge, call)

    async def _close(
        self, reservation: Reservation, charge: Charge, call: ModelCall | None
    ) -> None:
        rows = call.rows() if call else []
        try:
            if call and rows and not call.is_stored:
                await self._record(charge.owner_id, call)
        finally:
            cost = sum(row.cost_microusd for row in rows)
            self._budget.settle(reservation, cost)
            if cost > self._dearest.get(charge.session_id, cost):
                self._dearest[charge.session_id] = cost
            if any(row.state == "pending" for row in rows):
                self._settler.wake()

    async def _record(self, owner_id: str, call: ModelCall) -> None:
        try:
            await self._database.write(call.store)
        except (FlotillaError, SQLAlchemyError):
            rows = call.rows()
            logger.exception("usage_not_stored rows=%s", len(rows))
            self._settler.store_later(owner_id, rows)

    async def _dearest_before(self, request: CompletionRequest, charge: Charge) -> int:
        """Return what the dearest request of the session cost: all one knows without prices."""
        known = self._dearest.get(charge.session_id)
        if known is None:
            known = 0
            if any(message["role"] == "assistant" for message in request.messages):
                known = await self._database.read(
                    usage.dearest_of_session, charge.owner_id, charge.session_id
                )
            self._dearest[charge.session_id] = known
            if len(self._dearest) > _SESSIONS_REMEMBERED:
                self._dearest.popitem(last=False)
        return known


def _expected(request: CompletionRequest, prices: PriceList, before_microusd: int) -> Estimate:
    """Return the most that the request may cost, whichever of its models answers."""
    if (dearest := prices.dearest) is None:
        # Never nothing where prices are unknown, so that a cap that is reached stops it.
        return Estimate(max(1, before_microusd))
    known = estimate(request, dearest)
    return replace(known, fixed_microusd=max(known.fixed_microusd, before_microusd))


def _has_begun(completion: Completion) -> bool:
    return bool(completion.usage or completion.generation_id or completion.text)


def _state(completion: Completion) -> UsageState:
    can_be_asked_for = (completion.generation_id or "").startswith(_CAN_BE_ASKED_FOR)
    return "pending" if can_be_asked_for else "estimated"


def _shortened(request: CompletionRequest, max_tokens: int | None) -> CompletionRequest:
    if max_tokens is None:
        return request
    others = {k: v for k, v in request.parameters.items() if k != "max_completion_tokens"}
    return replace(request, parameters={**others, "max_tokens": max_tokens})
