"""What requests to models used and cost, as it is reported. Money is integer micro-dollars."""

from orchestrator.domain.values import Value


class UsageSums(Value):
    """Sums over requests."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cost_microusd: int
    """What the vendor told, each request rounded half up by itself, and estimates for the rest."""
    pending: int
    """Requests whose cost is an estimate until the vendor tells it."""
    estimated: int
    """Requests whose cost stays an estimate: nobody can tell it any more."""

    def plus(self, other: "UsageSums") -> "UsageSums":
        """Return the sums over both."""
        mine, theirs = self.model_dump(), other.model_dump()
        return UsageSums(**{name: mine[name] + theirs[name] for name in UsageSums.model_fields})


class UsageGroup(UsageSums):
    """The sums of one day, model, purpose, session, turn or message."""

    key: str
    """The day as `2026-11-20`, else a name or an id; empty: for no turn, or for no answer."""
    title: str | None = None
    """Of the session; null when it was deleted, and for other groups."""


class UsageCap(Value):
    """A limit on what may be spent."""

    limit_microusd: int
    spent_microusd: int | None
    """Null for the cap of a turn: each turn has spent its own."""
    remaining_microusd: int | None


class UsageCaps(Value):
    """Limits that are kept before each request: of one turn, of 24 hours, of 30 days."""

    turn: UsageCap
    day: UsageCap
    month: UsageCap
