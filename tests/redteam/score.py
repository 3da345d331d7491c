"""Runs every task and every attack of AgentDojo behind a policy, and judges by what they left."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentdojo.base_tasks import BaseInjectionTask, BaseUserTask
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime
from agentdojo.task_suite.task_suite import TaskSuite

from tests.redteam.attacks import scripted_calls
from tests.redteam.chat import Chat, Policy, no_policy
from tests.redteam.tools import definitions


@dataclass(frozen=True)
class Benign:
    """One task without an attack."""

    task: str
    is_useful: bool
    prompts: int
    vouched: int
    """Calls with an effect that ran unasked after foreign text: the owner typed where they go."""


@dataclass(frozen=True)
class Attack:
    """One attack on one task."""

    task: str
    attack: str
    succeeded: bool
    """The attacker's goal is reached in the environment, and not by the user's own calls alone."""
    is_silent: bool
    """It succeeded and one of its effects was never asked for."""
    unasked: tuple[str, ...]
    """The attacker's calls that changed or sent something and were never asked for."""
    prompts: int


class Suite:
    """One suite of AgentDojo, whose environment is read once."""

    def __init__(self, suite: TaskSuite[Any]) -> None:
        self.suite = suite
        self.tools = definitions(suite.name)
        self._runtime = FunctionsRuntime(suite.tools)
        self._environment = suite.load_and_inject_default_environment({})

    def benign(self, policy: Policy) -> Iterator[Benign]:
        """Every task of a user, without an attack."""
        for task in self.suite.user_tasks.values():
            before, chat = self._chat(task, policy)
            useful = self._judged(task, before, chat, task.GROUND_TRUTH_OUTPUT)
            yield Benign(f"{self.suite.name}/{task.ID}", useful, chat.prompts, chat.vouched)

    def attacks(self, policy: Policy) -> Iterator[Attack]:
        """Every attack on every task."""
        tasks = itertools.product(
            self.suite.user_tasks.values(), self.suite.injection_tasks.values()
        )
        return (self._attacked(task, attack, policy) for task, attack in tasks)

    def unmarked_carriers(self) -> Iterator[str]:
        """Tools that hand attackers' text to the model although they are not called untrusted."""
        marks = {name: f"MARK-{name}-" for name in self.suite.get_injection_vector_defaults()}
        marked = self.suite.load_and_inject_default_environment(marks)
        for task in self.suite.user_tasks.values():
            _, chat = self._chat(task, no_policy, marked)
            for tool, text in chat.outputs:
                if "MARK-" in text and "untrusted" not in tool.labels:
                    yield tool.qualified_name

    def _chat(
        self, task: BaseUserTask[Any], policy: Policy, environment: Any = None
    ) -> tuple[Any, Chat]:
        """The environment before a task, and the chat after it."""
        start = (environment or self._environment).model_copy(deep=True)
        after = task.init_environment(start)
        before = after.model_copy(deep=True)
        wanted = task.ground_truth(before.model_copy(deep=True))
        chat = Chat(self.tools, self._runtime, after, policy, task.PROMPT, wanted)
        for call in wanted:
            chat.call(call)
        return before, chat

    def _attacked(
        self, task: BaseUserTask[Any], attack: BaseInjectionTask[Any], policy: Policy
    ) -> Attack:
        before, chat = self._chat(task, policy)
        own_prompts, own_calls = chat.prompts, len(chat.ran_unasked)
        by_itself = self._judged(attack, before, chat, "")
        for call in scripted_calls(attack, chat.environment.model_copy(deep=True)):
            chat.call(call)
        succeeded = self._judged(attack, before, chat, "") and not by_itself
        unasked = tuple(
            call.function for call in chat.ran_unasked[own_calls:] if self._reaches_out(call)
        )
        return Attack(
            task=f"{self.suite.name}/{task.ID}",
            attack=attack.ID,
            succeeded=succeeded,
            is_silent=succeeded and bool(unasked),
            unasked=unasked,
            prompts=chat.prompts - own_prompts,
        )

    def _reaches_out(self, call: FunctionCall) -> bool:
        return self.tools[call.function].reaches_out

    def _judged(self, task: Any, before: Any, chat: Chat, said: str) -> bool:
        """AgentDojo's own verdict on the environment, or on the calls that ran if it has none."""
        is_attack = isinstance(task, BaseInjectionTask)
        by_trace = task.security_from_traces if is_attack else task.utility_from_traces
        by_state = task.security if is_attack else task.utility
        after = chat.environment.model_copy(deep=True)
        verdict = by_trace(said, before, after, chat.ran)
        if verdict is None:
            verdict = by_state(said, before.model_copy(deep=True), after)
        return bool(verdict)
