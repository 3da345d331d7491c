"""Fakes of OpenRouter that keep a bill of every generation they began.

Like the vendor they bill each generation by itself, and count an answer that was stopped or cut.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.fakes.openrouter import API_KEY, FakeOpenRouter
from tests.fakes.openrouter_rounds import Round, Step, Wire, text

METERED_MODEL = "fake/metered"
PROMPT_PRICE = Decimal(3)
COMPLETION_PRICE = Decimal(15)
"""Micro-dollars per token."""


@dataclass(frozen=True)
class BilledRound(Round):
    """A round that costs `dollars`."""

    dollars: str = "0"


class Bill:
    """What the vendor wants for each generation, in exact dollars."""

    def __init__(self) -> None:
        self.dollars: dict[str, Decimal] = {}

    @property
    def microusd(self) -> dict[str, int]:
        """By generation: each is rounded half up to micro-dollars by itself."""
        return {
            generation: int((dollars * 1_000_000).quantize(Decimal(1), ROUND_HALF_UP))
            for generation, dollars in self.dollars.items()
        }


class BillingWire(Wire):
    """Puts every generation on the bill when its first byte is about to leave."""

    def __init__(self, fake: FakeOpenRouter, bill: Bill) -> None:
        super().__init__()
        self._fake = fake
        self._bill = bill
        self._newest = ""

    def stream(self, script: Round, model: str) -> Iterator[Step]:
        steps = super().stream(script, model)
        first = next(steps)
        dollars = Decimal(getattr(script, "dollars", "0"))
        self._bill.dollars[self._newest] = dollars
        # Where the stream says nothing, `GET /generation` does.
        self._fake.generations[self._newest] = {
            "id": self._newest,
            "total_cost": float(dollars),
            "native_tokens_prompt": 20,
            "native_tokens_completion": 9,
        }
        yield first
        yield from steps

    def _envelope(self, model: str, kind: str) -> dict[str, Any]:
        envelope = super()._envelope(model, kind)
        self._newest = str(envelope["id"])
        return envelope


class BillingOpenRouter(FakeOpenRouter):
    """Answers as it is scripted, and keeps the bill."""

    def __init__(self) -> None:
        super().__init__(API_KEY)
        self.bill = Bill()
        self._wire = BillingWire(self, self.bill)


class MeteredOpenRouter(BillingOpenRouter):
    """Has one model, with prices: its answers take `max_tokens`, or 400 tokens unless so limited.

    Prompts are counted as four bytes per token.
    """

    ANSWER_TOKENS = 400

    def __init__(self) -> None:
        super().__init__()
        entry = {
            "id": METERED_MODEL,
            "name": "Metered",
            "context_length": 128_000,
            "pricing": {
                "prompt": str(PROMPT_PRICE / 1_000_000),
                "completion": str(COMPLETION_PRICE / 1_000_000),
            },
            "top_provider": {"max_completion_tokens": 1_000},
        }
        self.listing = {"data": [entry]}

    def _round(self, body: dict[str, Any]) -> Round:
        prompt = len(json.dumps([body["messages"], body.get("tools", [])]).encode()) // 4
        completion = min(self.ANSWER_TOKENS, body.get("max_tokens") or self.ANSWER_TOKENS)
        dollars = (PROMPT_PRICE * prompt + COMPLETION_PRICE * completion) / 1_000_000
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "cost": float(dollars),
        }
        is_cut = completion < self.ANSWER_TOKENS
        shown = text("Metered.", usage=usage, finish_reason="length" if is_cut else "stop")
        return BilledRound(
            shown.steps, usage=shown.usage, finish_reason=shown.finish_reason, dollars=str(dollars)
        )


def billed(*steps: Any, dollars: str, is_told: bool = True, **fields: Any) -> BilledRound:
    """Return a round that costs `dollars`; with `is_told` unset its stream ends without usage."""
    usage = {"prompt_tokens": 20, "completion_tokens": 9, "cost": float(dollars)}
    told = usage if is_told else None
    return BilledRound(steps=steps, usage=told, dollars=dollars, **fields)
