"""What the owner's policy says of the tool calls of one turn."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.approvals.canonical import MAX_ASKED_BYTES, is_too_large_to_ask
from orchestrator.approvals.policy import Allow, Ask, Refuse, decide
from orchestrator.approvals.taint import NO_TAINT, Taint
from orchestrator.domain.approvals import PolicyMode
from orchestrator.domain.tools import ToolDefinition, ToolResult

TOO_LARGE = (
    f"the owner would have to approve it, and its arguments are more than {MAX_ASKED_BYTES // 1024}"
    " kB. Make several smaller calls."
)


class Judge:
    """Knows what the owner wrote and what foreign text the model has read."""

    def __init__(
        self, mode: PolicyMode, owner_texts: Sequence[str], sources: Sequence[str]
    ) -> None:
        self.taint: Taint = NO_TAINT.plus(sources)
        self._mode: PolicyMode = mode
        self._owner_texts = owner_texts

    @property
    def is_quarantined(self) -> bool:
        """Whether no tool may run any more."""
        return self._mode == "quarantine" and self.taint.is_tainted

    def learn(self, sources: Sequence[str]) -> None:
        """Note what the model is about to read."""
        if sources:
            self.taint = self.taint.plus(sources)

    def judge(
        self, tool: ToolDefinition, arguments: Mapping[str, Any], standing: frozenset[str]
    ) -> Allow | Ask | Refuse:
        """Return whether the call may run; `standing` holds the tools that need not be asked.

        One that would ask about more than anybody reads is refused.
        """
        verdict = decide(
            tool,
            dict(arguments),
            taint=self.taint,
            owner_texts=self._owner_texts,
            is_standing=tool.qualified_name in standing,
            mode=self._mode,
        )
        if isinstance(verdict, Ask) and is_too_large_to_ask(arguments):
            return Refuse(TOO_LARGE)
        return verdict


def refused(verdict: Refuse) -> ToolResult:
    """Return the result of a call that the policy does not let run."""
    text = f"Not run: {verdict.reason}"
    return ToolResult("denied", text, error=text, error_code="not_run")
