"""How other MCP clients are told of a server of the fleet: the text for their own configuration."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

ClientName = Literal["claude-desktop", "claude-code", "vscode", "cursor"]
ClientScope = Literal["read", "full"]
"""`read`: sees and calls only tools that read. `full`: all of them, by the rules of the gate."""

MCP_REMOTE = "mcp-remote@0.15.1"
"""Claude Desktop starts programs only; this one hands on to an address. Also in tests/node."""
TOKEN_HERE = "TOKEN"  # noqa: S105 - what stands where a token will be
TITLES: dict[ClientName, str] = {
    "claude-desktop": "Claude Desktop",
    "claude-code": "Claude Code",
    "vscode": "VS Code",
    "cursor": "Cursor",
}
PLACES: dict[ClientName, str] = {
    "claude-desktop": "claude_desktop_config.json (Settings > Developer > Edit Config)",
    "claude-code": ".mcp.json in the folder of the project",
    "vscode": ".vscode/mcp.json in the folder of the project",
    "cursor": "~/.cursor/mcp.json",
}
RIGHTS: dict[ClientScope, str] = {
    "read": "sees and calls only the tools that read",
    "full": "calls all tools; what sends, deletes or shares still asks you first",
}


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A server that runs, and the token for it."""

    name: str
    url: str
    token: str = TOKEN_HERE


@dataclass(frozen=True, slots=True)
class StdioServer:
    """A server that the client starts itself."""

    name: str
    command: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict[str, str])


def client_config(
    client: ClientName, servers: Sequence[HttpServer | StdioServer]
) -> dict[str, dict[str, Any]]:
    """Return what belongs into the client's configuration: entries under one key."""
    entries = {entry_name(server.name): _entry(client, server) for server in servers}
    return {"servers" if client == "vscode" else "mcpServers": entries}


def entry_name(server: str) -> str:
    """Return what a server is called at a client, where others may have the same name."""
    return f"flotilla-{server}"


def bridge_arguments(url: str) -> list[str]:
    """Return what `mcp-remote` is started with; AUTH_HEADER in its environment has the token.

    Its documentation says so: on Windows a space within an argument breaks the command.
    """
    plain = ["--allow-http"] if urlsplit(url).scheme == "http" else []
    return [url, "--transport", "http-only", "--header", "Authorization:${AUTH_HEADER}", *plain]


def _entry(client: ClientName, server: HttpServer | StdioServer) -> dict[str, Any]:
    if isinstance(server, StdioServer):
        return {
            **({} if client in ("claude-desktop", "cursor") else {"type": "stdio"}),
            "command": server.command,
            "args": list(server.arguments),
            "env": dict(server.environment),
        }
    bearer = f"Bearer {server.token}"
    if client == "claude-desktop":
        return {
            "command": "npx",
            "args": ["-y", MCP_REMOTE, *bridge_arguments(server.url)],
            "env": {"AUTH_HEADER": bearer},
        }
    return {
        **({} if client == "cursor" else {"type": "http"}),
        "url": server.url,
        "headers": {"Authorization": bearer},
    }
