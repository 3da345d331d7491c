"""What an owner may spend: the caps of a turn, a day and a month, kept before each request.

Money is put aside before a request and given back when its cost is known, so requests that run at
the same time cannot pass a cap together. The ledger in the store is the truth: what is put aside
dies with the process, and with it the requests it was for.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from orchestrator.domain.times import to_rfc3339, utc_now
from orchestrator.errors import CostLimitReached
from orchestrator.store import usage
from orchestrator.store.database import Database

DAY = timedelta(hours=24)
MONTH = timedelta(days=30)
MIN_TOKENS = 64
"""An answer shorter than that is not worth its prompt."""
ENOUGH_TOKENS = 4_096
"""Rather than shorten an answer below that, a request waits for what others have put aside."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that all requests of 24 hours and of 30 days may cost, in micro-dollars."""

    day_microusd: int = 10_000_000
    month_microusd: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most that a request may cost, in micro-dollars."""

    fixed_microusd: int
    """All but the answer, rounded up."""
    token_microusd: Decimal = Decimal(0)
    """For each token of the answer."""
    max_tokens: int = 0
    """What the answer takes at most."""
    min_tokens: int = MIN_TOKENS

    def at(self, tokens: int) -> int:
        """Return what the request costs with an answer of so many tokens, rounded up."""
        return self.fixed_microusd + math.ceil(self.token_microusd * tokens)

    def affordable_tokens(self, microusd: int) -> int:
        """Return how long the answer may be for that money; negative when the rest costs more."""
        left = microusd - self.fixed_microusd
        if left < 0:
            return -1
        if not self.token_microusd:
            return self.max_tokens
        return min(self.max_tokens, int(left // self.token_microusd))


@dataclass(frozen=True, slots=True)
class TurnBudget:
    """What one turn has spent and may spend, in micro-dollars."""

    spent_microusd: int
    max_microusd: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money that is put aside for one request."""

    owner_id: str
    microusd: int
    max_tokens: int | None = None
    """How long the answer may be; None: as long as was asked for."""
    shortened_by: str | None = None
    """The setting that is why."""


@dataclass(slots=True)
class _Account:
    """What is remembered of an owner: what was spent at most, and what is put aside."""

    day_microusd: int = 0
    month_microusd: int = 0
    reserved_microusd: int = 0
    added_microusd: int = 0
    is_loaded: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)


class _Cap(NamedTuple):
    spent_microusd: int
    max_microusd: int
    where: str
    when: str
    setting: str

    @property
    def left_microusd(self) -> int:
        return self.max_microusd - self.spent_microusd


class Budget:
    """Knows without asking the store that the caps are far away.

    What it remembers only grows, so it is never too little; the store is asked for the truth when
    that comes too close to a cap, and once per owner and process.
    """

    def __init__(
        self, database: Database, caps: Caps, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._caps = caps
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    async def reserve(
        self, owner_id: str, estimate: Estimate, turn: TurnBudget | None = None
    ) -> Reservation:
        """Put aside what a request may cost; `settle` gives it back.

        Waits while only what others have put aside is in the way. Raises CostLimitReached.
        """
        account = self._accounts.setdefault(owner_id, _Account())
        while True:
            granted = self._granted(owner_id, account, estimate, turn)
            if granted is None:
                await self._load(owner_id, account)
                granted = self._granted(owner_id, account, estimate, turn)
            if granted is not None:
                account.reserved_microusd += granted.microusd
                return granted
            self._raise_if_spent(account, estimate, turn)
            account.released.clear()
            await account.released.wait()

    def settle(self, reservation: Reservation, cost_microusd: int) -> None:
        """Give back what was put aside and count the cost; once the cost is stored, or may be."""
        account = self._accounts[reservation.owner_id]
        account.reserved_microusd -= reservation.microusd
        self.add(reservation.owner_id, cost_microusd)
        account.released.set()

    def add(self, owner_id: str, cost_microusd: int) -> None:
        """Count what was spent beyond what is known; what was spent less, the store tells."""
        account = self._accounts.setdefault(owner_id, _Account())
        added = max(0, cost_microusd)
        account.added_microusd += added
        account.day_microusd += added
        account.month_microusd += added

    async def _load(self, owner_id: str, account: _Account) -> None:
        now = self._clock()
        before = account.added_microusd
        since = [to_rfc3339(now - DAY), to_rfc3339(now - MONTH)]
        day, month = await self._database.read(usage.cost_since, owner_id, since)
        # Perhaps counted twice, if it was stored in time to be read: rather too much.
        meanwhile = account.added_microusd - before
        account.day_microusd, account.month_microusd = day + meanwhile, month + meanwhile
        account.is_loaded = True

    def _granted(
        self, owner_id: str, account: _Account, estimate: Estimate, turn: TurnBudget | None
    ) -> Reservation | None:
        if not account.is_loaded:
            return None
        cap = min(self._kept(account, turn), key=lambda cap: cap.left_microusd)
        shared = min(cap.left_microusd for cap in self._kept(account, None))
        now = min(cap.left_microusd, shared - account.reserved_microusd)
        tokens = estimate.affordable_tokens(now)
        if tokens == estimate.max_tokens:
            return Reservation(owner_id, estimate.at(tokens))
        enough = min(estimate.affordable_tokens(cap.left_microusd), ENOUGH_TOKENS)
        if tokens < max(estimate.min_tokens, enough):
            return None
        return Reservation(owner_id, estimate.at(tokens), tokens, cap.setting)

    def _raise_if_spent(
        self, account: _Account, estimate: Estimate, turn: TurnBudget | None
    ) -> None:
        cap = min(self._kept(account, turn), key=lambda cap: cap.left_microusd)
        least = min(estimate.min_tokens, estimate.max_tokens)
        if estimate.affordable_tokens(cap.left_microusd) < least:
            raise CostLimitReached(_sentence(cap, estimate.at(least)))

    def _kept(self, account: _Account, turn: TurnBudget | None) -> list[_Cap]:
        day, month = self._caps.day_microusd, self._caps.month_microusd
        caps = [
            _Cap(account.day_microusd, day, "within 24 hours", "later", "DAY_MAX_COST_MICROUSD"),
            _Cap(
                *(account.month_microusd, month, "within 30 days", "later"),
                "MONTH_MAX_COST_MICROUSD",
            ),
        ]
        if turn is not None:
            words = "in this turn", "with another turn", "TURN_MAX_COST_MICROUSD"
            caps.insert(0, _Cap(turn.spent_microusd, turn.max_microusd, *words))
        return caps


def dollars(microusd: int) -> str:
    """Return an amount in US dollars, exactly, with two decimals or as many as it needs."""
    whole, rest = divmod(microusd, 1_000_000)
    decimals = f"{rest:06d}".rstrip("0")
    return f"{whole}.{decimals:0<2}"


def _sentence(cap: _Cap, needed_microusd: int) -> str:
    return (
        f"Stopped: {dollars(cap.spent_microusd)} US dollars were spent {cap.where}, the limit is "
        f"{dollars(cap.max_microusd)}, and the next request may cost "
        f"{dollars(needed_microusd)}. Continue {cap.when}, or raise {cap.setting}."
    )
