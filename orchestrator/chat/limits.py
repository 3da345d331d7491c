"""What a turn may spend, and what it has spent."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.domain.chat import ToolCallRecord
from orchestrator.store.tool_calls import arguments_hash


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """The most that one turn may use; money in micro-dollars."""

    max_rounds: int = 12
    max_tool_calls: int = 25
    max_tool_errors: int = 6
    max_identical_calls: int = 3
    max_duration_s: float = 600.0
    max_cost_microusd: int = 1_000_000


@dataclass(slots=True)
class Spending:
    """What a turn has used so far."""

    limits: TurnLimits
    rounds: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    cost_microusd: int = 0
    _last_call: tuple[str, str] | None = field(default=None, repr=False)
    _identical_calls: int = 0

    def count_again(self, calls: Iterable[ToolCallRecord]) -> None:
        """Count the calls that ended before a restart."""
        for call in calls:
            self.refusal_for(call.tool, arguments_hash(call.arguments))
            self.count_results([call.state])

    def count_results(self, states: Iterable[str]) -> None:
        """Count the calls that failed; what the owner or his policy refused is no failure."""
        self.tool_errors += sum(state in ("failed", "unknown") for state in states)

    def refusal_for(self, tool: str, arguments_hash: str) -> str | None:
        """Count one more tool call; return why it may not run, if so."""
        self.tool_calls += 1
        same = (tool, arguments_hash) == self._last_call
        self._identical_calls = self._identical_calls + 1 if same else 1
        self._last_call = (tool, arguments_hash)
        if self.tool_calls > self.limits.max_tool_calls:
            return f"Not run: this turn may make {self.limits.max_tool_calls} tool calls."
        if self._identical_calls > self.limits.max_identical_calls:
            return (
                f"Not run: this same call was made {self.limits.max_identical_calls} times in a "
                "row. Use its result, or try something else."
            )
        return None

    def reached(self) -> str | None:
        """Return which limit keeps the turn from another round, in a sentence."""
        limits = self.limits
        if self.tool_calls > limits.max_tool_calls:
            return f"Stopped: this turn used its {limits.max_tool_calls} tool calls."
        if self.tool_errors >= limits.max_tool_errors:
            return f"Stopped: {self.tool_errors} tool calls of this turn failed."
        if self._identical_calls > limits.max_identical_calls + 1:
            return "Stopped: the model keeps making the same tool call."
        if self.rounds >= limits.max_rounds:
            return f"Stopped after {limits.max_rounds} rounds."
        return None
