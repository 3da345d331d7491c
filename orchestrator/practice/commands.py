"""Messages that start with a slash: `/call`, `/markdown`, `/long`, `/think`."""

import re
from dataclasses import dataclass

from orchestrator.practice import samples
from orchestrator.practice.json_objects import parse_object
from orchestrator.practice.toolbox import PlannedCall, Toolbox

_CALL = re.compile(r"^/call[ \t]+(?P<name>\S+)[ \t]*(?P<arguments>.*)$", re.DOTALL)
_NEXT_CALL = re.compile(r"\n(?=/call\s)")
_MAX_CALLS = 16
MAX_PARAGRAPHS = 500


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What a command leads to: text, or calls to make; `problems` are sentences about the rest."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[PlannedCall, ...] = ()
    problems: tuple[str, ...] = ()


def run_command(message: str, toolbox: Toolbox) -> CommandAnswer | None:
    """Return what the command leads to, None when the message is no command."""
    message = message.strip()
    if message.startswith("/call"):
        return _calls(message, toolbox)
    word, _, rest = message.partition(" ")
    if word == "/markdown":
        return CommandAnswer(samples.MARKDOWN)
    if word == "/think":
        return CommandAnswer(samples.THOUGHT, reasoning=samples.REASONING)
    if word == "/long":
        wanted = int(rest) if rest.strip().isdecimal() and len(rest) < 9 else 20
        return CommandAnswer(samples.paragraphs(min(wanted, MAX_PARAGRAPHS)))
    return None


def _calls(message: str, toolbox: Toolbox) -> CommandAnswer:
    calls: list[PlannedCall] = []
    problems: list[str] = []
    for line in _NEXT_CALL.split(message)[:_MAX_CALLS]:
        match = _CALL.match(line.strip())
        if match is None:
            problems.append("Write it as `/call server__tool {json}`.")
            continue
        name, arguments = match["name"], parse_object(match["arguments"].strip() or "{}")
        if name not in toolbox.names:
            problems.append(f"The tool `{name}` is not offered in this chat. {_offer(toolbox)}")
        elif arguments is None:
            problems.append(f"The arguments of `{name}` are not a JSON object.")
        else:
            calls.append(PlannedCall(name, arguments))
    return CommandAnswer(calls=tuple(calls), problems=tuple(problems))


def _offer(toolbox: Toolbox) -> str:
    if not toolbox.names:
        return "No tools are offered: *Servers* on the page says which servers are there."
    shown = ", ".join(f"`{name}`" for name in toolbox.names[:30])
    return f"Offered are {shown}."
