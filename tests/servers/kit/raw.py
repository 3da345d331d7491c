"""MCP requests of revision 2026-07-28 without any SDK."""

from collections.abc import Mapping
from typing import Any, TypedDict

PROTOCOL_VERSION = "2026-07-28"


class RawRequest(TypedDict):
    """What `httpx2.AsyncClient.post` takes besides the URL."""

    json: dict[str, Any]
    headers: dict[str, str]


def raw_request(
    method: str,
    tool: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> RawRequest:
    """A request of `method`, with `tool` for tools/call."""
    params: dict[str, Any] = {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": PROTOCOL_VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    }
    sent = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": PROTOCOL_VERSION,
        "Mcp-Method": method,
    }
    if tool is not None:
        params |= {"name": tool, "arguments": dict(arguments or {})}
        sent["Mcp-Name"] = tool
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return {"json": body, "headers": {**sent, **(headers or {})}}
