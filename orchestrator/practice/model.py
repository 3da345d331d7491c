"""The scripted model: what it answers to a chat, given the tools it was offered."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from orchestrator.practice import replies
from orchestrator.practice.commands import CommandAnswer, run_command
from orchestrator.practice.intents.recognise import recognise
from orchestrator.practice.intents.wish import Wish
from orchestrator.practice.json_objects import as_list, as_object
from orchestrator.practice.toolbox import PlannedCall, Toolbox, is_same_tool

Messages = list[dict[str, Any]]

_GO_ON = re.compile(r"(your last answer was cut off|(please )?(continue|go on)\W*$)", re.IGNORECASE)
"""What the owner's Continue, or the owner, says when an answer ended before its time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion: text, or tool calls."""

    text: str
    reasoning: str
    calls: tuple[PlannedCall, ...] = ()


def answer(messages: Messages, tools: list[dict[str, Any]], today: date) -> Answer:
    """Return the next completion: calls for a new question, an answer once results are there."""
    question, since = _question(messages)
    whole = _whole(question, since, Toolbox(tools), today)
    text = _unsaid(whole.text, since)
    return replace(whole, text=text if text or whole.calls else replies.NOTHING_MORE)


def _question(messages: Messages) -> tuple[str, Messages]:
    """Return what was asked last and what came after it; a request to go on asks nothing new."""
    asked = [
        (_text(message.get("content")), messages[number + 1 :])
        for number, message in enumerate(messages)
        if message.get("role") == "user"
    ]
    while len(asked) > 1 and _GO_ON.match(asked[-1][0]):
        asked.pop()
    return asked[-1] if asked else ("", messages)


def _whole(question: str, since: Messages, toolbox: Toolbox, today: date) -> Answer:
    has_results = any(message.get("role") == "tool" for message in since)
    if (command := run_command(question, toolbox)) is not None:
        return _after_command(command, since) if has_results else _command(command)
    wishes = recognise(question, today)
    if has_results:
        return _after_wishes(wishes, toolbox, since)
    return _ask(wishes, toolbox)


def _unsaid(text: str, since: Messages) -> str:
    """Return the text without the beginning that was said before the answer was cut off."""
    for message in since:
        said = _text(message.get("content")).strip() if message.get("role") == "assistant" else ""
        if said and text.lstrip().startswith(said):
            text = text.lstrip()[len(said) :]
    return text


def _ask(wishes: list[Wish], toolbox: Toolbox) -> Answer:
    if not wishes:
        return Answer(replies.INTRODUCTION, "Nothing here that I know how to do with a tool.")
    calls = tuple(call for wish in wishes if (call := toolbox.plan(wish)))
    if calls:
        names = " and ".join(dict.fromkeys(call.name for call in calls))
        return Answer("", f"I can find this out with {names}.", calls)
    return Answer(_joined(_missing(wishes, toolbox)), "The tools I would need are not here.")


def _after_wishes(wishes: list[Wish], toolbox: Toolbox, results: Messages) -> Answer:
    texts: list[str] = []
    open_wishes = list(wishes)
    for tool, content in _results(results):
        # By the name of the call: its server may have gone since, and its tools with it.
        wish = next((wish for wish in open_wishes if is_same_tool(wish.tool, tool)), None)
        if wish is not None:
            open_wishes.remove(wish)
        texts.append(replies.answer_for(tool, wish.label if wish else tool, content))
    return Answer(_joined([*texts, *_missing(open_wishes, toolbox)]), "The results are there.")


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
