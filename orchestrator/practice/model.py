"""The scripted model: what it answers to a chat, given the tools it was offered."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from orchestrator.practice import replies
from orchestrator.practice.commands import CommandAnswer, run_command
from orchestrator.practice.intents.recognise import recognise
from orchestrator.practice.intents.wish import Wish
from orchestrator.practice.json_objects import as_list, as_object
from orchestrator.practice.toolbox import PlannedCall, Toolbox

Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion: text, or tool calls."""

    text: str
    reasoning: str
    calls: tuple[PlannedCall, ...] = ()


def answer(messages: Messages, tools: list[dict[str, Any]], today: date) -> Answer:
    """Return the next completion: calls for a new question, an answer once results are there."""
    asked_at = max(
        (number for number, message in enumerate(messages) if message.get("role") == "user"),
        default=-1,
    )
    question = _text(messages[asked_at].get("content")) if asked_at >= 0 else ""
    toolbox, results = Toolbox(tools), messages[asked_at + 1 :]
    has_results = any(message.get("role") == "tool" for message in results)
    if (command := run_command(question, toolbox)) is not None:
        return _after_command(command, results) if has_results else _command(command)
    wishes = recognise(question, today)
    if has_results:
        return _after_wishes(wishes, toolbox, results)
    return _ask(wishes, toolbox)


def _ask(wishes: list[Wish], toolbox: Toolbox) -> Answer:
    if not wishes:
        return Answer(replies.INTRODUCTION, "Nothing here that I know how to do with a tool.")
    calls = tuple(call for wish in wishes if (call := toolbox.plan(wish)))
    if calls:
        names = " and ".join(dict.fromkeys(call.name for call in calls))
        return Answer("", f"I can find this out with {names}.", calls)
    return Answer(_joined(_missing(wishes, toolbox)), "The tools I would need are not here.")


def _after_wishes(wishes: list[Wish], toolbox: Toolbox, results: Messages) -> Answer:
    met = [wish for wish in wishes if toolbox.find(wish.tool)]
    texts: list[str] = []
    for number, (tool, content) in enumerate(_results(results)):
        label = met[number].label if number < len(met) else tool
        texts.append(replies.answer_for(tool, label, content))
    return Answer(_joined([*texts, *_missing(wishes, toolbox)]), "The results are there.")


def _command(command: CommandAnswer) -> Answer:
    if command.calls:
        return Answer("", "The message names the tool to call.", command.calls)
    text = command.text or _joined(command.problems)
    return Answer(text, command.reasoning or "The message is a command of mine.")


def _after_command(command: CommandAnswer, results: Messages) -> Answer:
    texts = [replies.explicit(tool, content) for tool, content in _results(results)]
    return Answer(_joined([*texts, *command.problems]), "The results are there.")


def _missing(wishes: list[Wish], toolbox: Toolbox) -> list[str]:
    return [
        replies.missing_tool(wish.tool, wish.label)
        for wish in wishes
        if toolbox.find(wish.tool) is None
    ]


def _results(messages: Messages) -> list[tuple[str, str]]:
    """Return the tool name and the text of each result, in the order of the calls."""
    texts = {
        str(message.get("tool_call_id")): _text(message.get("content"))
        for message in messages
        if message.get("role") == "tool"
    }
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    return [
        (str(call["function"]["name"]), texts[call["id"]]) for call in calls if call["id"] in texts
    ]


def _text(content: Any) -> str:
    """Return the text of a message, which may come in parts."""
    if isinstance(content, str):
        return content
    parts = [as_object(part) for part in as_list(content)]
    return "\n".join(str(part.get("text") or "") for part in parts)


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(texts)
