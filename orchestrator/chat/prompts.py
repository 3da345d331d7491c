"""The system prompt, built anew for every turn."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from orchestrator.domain.tools import ServerStatus

_FOLDER = Path(__file__).parent / "prompts"


def system_prompt(
    instructions: str | None, moment: datetime, zone: str, servers: Sequence[ServerStatus]
) -> str:
    """Return the owner's `instructions` (ours without any), the time in `zone`, and the servers.

    The time is given to the minute, so that prompts of one minute are alike for prompt caches.
    """
    return _file("system.md").format(
        instructions=(instructions or _file("default.md")).strip(),
        now=moment.astimezone(ZoneInfo(zone)).strftime("%A, %d %B %Y, %H:%M"),
        zone=zone,
        servers=_servers(servers),
    )


def _servers(servers: Sequence[ServerStatus]) -> str:
    enabled = [server for server in servers if server.enabled]
    if not enabled:
        return "No servers are connected: you have no tools."
    lines = ["Servers (their tools are named `server__tool`):"]
    for server in enabled:
        state = "ready" if server.state in {"ready", "changed"} else server.state.replace("_", " ")
        lines.append(f"- {server.id} ({server.title}): {state}")
    return "\n".join(lines)


@cache
def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
