"""The tools of AgentDojo as Flotilla sees them, from `agentdojo_tools.toml`."""

import tomllib
from pathlib import Path
from typing import Any

from orchestrator.domain.tools import ToolDefinition

FILE = Path(__file__).with_name("agentdojo_tools.toml")


def definitions(server: str) -> dict[str, ToolDefinition]:
    """Every tool by its name, as a tool of `server`."""
    return {name: _definition(server, name, said) for name, said in described().items()}


def described() -> dict[str, dict[str, Any]]:
    """What the file says of each tool."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))["tools"]


def _definition(server: str, name: str, said: dict[str, Any]) -> ToolDefinition:
    labels = frozenset(said["labels"])
    return ToolDefinition(
        qualified_name=f"{server}__{name}",
        server=server,
        name=name,
        title=name.replace("_", " ").capitalize(),
        description="",
        input_schema={},
        read_only="write" not in labels,
        idempotent=False,
        labels=labels,
        level=said.get("level", 0),
        destinations=tuple(said.get("destinations", ())),
    )
