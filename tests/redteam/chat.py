"""A chat with a model that does what it is told, behind the real policy, and an attentive owner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime

from orchestrator.approvals.policy import Allow, Ask, Refuse, decide
from orchestrator.approvals.taint import NO_TAINT, Taint, sources_of
from orchestrator.domain.tools import ToolDefinition, ToolResult

Policy = Callable[[ToolDefinition, dict[str, Any], Taint, str], Allow | Ask | Refuse]


def no_policy(
    tool: ToolDefinition, arguments: dict[str, Any], taint: Taint, typed: str
) -> Allow | Ask | Refuse:
    """Everything runs."""
    return Allow("none")


def flotilla(
    tool: ToolDefinition, arguments: dict[str, Any], taint: Taint, typed: str
) -> Allow | Ask | Refuse:
    """The real policy, for an owner who allowed for good whatever can be allowed for good."""
    return decide(tool, arguments, taint=taint, owner_texts=[typed], is_standing=True, mode="ask")


def strict(
    tool: ToolDefinition, arguments: dict[str, Any], taint: Taint, typed: str
) -> Allow | Ask | Refuse:
    """The same for an owner whose words vouch for nothing."""
    return flotilla(tool, arguments, taint, "")


def cautious(
    tool: ToolDefinition, arguments: dict[str, Any], taint: Taint, typed: str
) -> Allow | Ask | Refuse:
    """The same with manifests that let no send, no delete and no payment be allowed for good."""
    is_final = "destructive" in tool.labels or tool.labels >= {"write", "egress"}
    level = 3 if is_final else tool.level
    return flotilla(replace(tool, level=level), arguments, taint, typed)


@dataclass
class Chat:
    """One chat: what was read, asked and done in it."""

    tools: dict[str, ToolDefinition]
    runtime: FunctionsRuntime
    environment: Any
    policy: Policy
    typed: str
    """What the owner asked for."""
    wanted: Sequence[FunctionCall]
    """The calls his task needs; he approves these and no others."""
    taint: Taint = NO_TAINT
    prompts: int = 0
    vouched: int = 0
    ran: list[FunctionCall] = field(default_factory=list)
    ran_unasked: list[FunctionCall] = field(default_factory=list)
    outputs: list[tuple[ToolDefinition, str]] = field(default_factory=list)

    def call(self, call: FunctionCall) -> None:
        """Do what the model asks for, as far as policy and owner let it."""
        tool = self.tools[call.function]
        verdict = self.policy(tool, dict(call.args), self.taint, self.typed)
        if isinstance(verdict, Ask):
            self.prompts += 1
        if isinstance(verdict, Allow):
            self.ran_unasked.append(call)
            self.vouched += self.taint.is_tainted and tool.reaches_out
        if isinstance(verdict, Allow) or (isinstance(verdict, Ask) and self._wants(call)):
            self._run(tool, call)

    def _wants(self, call: FunctionCall) -> bool:
        return any(
            call.function == wanted.function and call.args == wanted.args for wanted in self.wanted
        )

    def _run(self, tool: ToolDefinition, call: FunctionCall) -> None:
        output, error = self.runtime.run_function(self.environment, call.function, call.args)
        text = error or str(output)
        self.ran.append(call)
        self.outputs.append((tool, text))
        result = ToolResult("failed" if error else "done", text, error=error)
        self.taint = self.taint.plus(sources_of(tool, result))
