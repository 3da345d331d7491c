"""Tools in the terms of the wire format that models are asked in."""

import json
from typing import Any

from orchestrator.domain.tools import ToolDefinition

_BYTES_PER_TOKEN = 4


def wire_schema(tool: ToolDefinition) -> dict[str, Any]:
    """Return a tool as an entry of the `tools` field of a request."""
    return {
        "type": "function",
        "function": {
            "name": tool.qualified_name,
            "description": tool.description,
            "parameters": tool.input_schema,
        },
    }


def schema_bytes(tool: ToolDefinition) -> int:
    """Return how many bytes the tool adds to each request."""
    text = json.dumps(wire_schema(tool), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


def estimated_tokens(size_bytes: int) -> int:
    """Return about how many tokens a schema of that size is.

    Four bytes a token, as tokenizers make of English prose and JSON; a model's own count is often
    a quarter more or less.
    """
    return -(-size_bytes // _BYTES_PER_TOKEN)
