"""A model that thinks: what it asks for next may depend on what its tools said."""

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any

from tests.fakes.openrouter import FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, Round, calls, text

MODEL = "fake/plans"
Wanted = Sequence[tuple[str, dict[str, Any]]]
"""Names of tools and their arguments, to be called in one round."""
Plan = Callable[[], Generator[Wanted, list[Any], str]]
"""Yields what to call, is sent what the tools said, and returns the answer to the user."""


class PlanningModel(FakeOpenRouter):
    """Follows one plan for each message of the user."""

    def __init__(self) -> None:
        super().__init__()
        self._plans: dict[str, Plan] = {}
        self._begun: dict[str, Generator[Wanted, list[Any], str]] = {}

    def plan(self, message: str, plan: Plan) -> None:
        """Follow this plan when the user says exactly `message`."""
        self._plans[message] = plan

    def _round(self, body: dict[str, Any]) -> Round:
        messages = body["messages"]
        said = [m["content"] for m in messages if m["role"] == "user"]
        plan = next((name for name in self._plans if said and name in str(said[-1])), None)
        if body["model"] != MODEL or plan is None:
            return super()._round(body)
        try:
            if messages[-1]["role"] == "user":
                self._begun[plan] = self._plans[plan]()
                wanted = next(self._begun[plan])
            else:
                wanted = self._begun[plan].send(_results(messages))
        except StopIteration as end:
            return text(str(end.value))
        except Exception as broken:  # noqa: BLE001 - told to the test, which looks at the answer
            return text(f"The plan broke: {broken!r}")
        return calls(*(Call(name, arguments) for name, arguments in wanted))


def _results(messages: list[dict[str, Any]]) -> list[Any]:
    """Return what the tools of the last round said, read from JSON where it is that."""
    found: list[Any] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        try:
            # A note of the orchestrator may follow.
            found.insert(0, json.JSONDecoder().raw_decode(message["content"])[0])
        except ValueError:
            found.insert(0, message["content"])
    return found
