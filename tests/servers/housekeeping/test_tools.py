"""The small tools: ids, echo, the machine."""

import os
import re
from typing import Any

import pytest
from fastmcp import Client

from servers.housekeeping.ids import IdKind, new_id


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("uuid7", r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("ulid", r"[0-7][0-9A-HJKMNP-TV-Z]{25}"),
        ("short", r"[2-9a-hjkmnp-tv-z]{10}"),
    ],
)
async def test_ids_have_the_form_of_their_kind(client: Client[Any], kind: str, form: str) -> None:
    answer = (await client.call_tool("new_id", {"kind": kind})).structured_content or {}

    assert re.fullmatch(form, answer["id"])


@pytest.mark.parametrize("kind", ["uuid7", "ulid", "short"])
def test_ids_do_not_repeat(kind: IdKind) -> None:
    assert len({new_id(kind) for _ in range(2_000)}) == 2_000


async def test_echo_gives_the_text_back(client: Client[Any]) -> None:
    result = await client.call_tool("echo", {"text": "Olá\n\u202e"})

    assert result.structured_content == {"text": "Olá\n\u202e"}


async def test_the_machines_state_is_figures_only(client: Client[Any]) -> None:
    state = (await client.call_tool("system_status", {})).structured_content or {}

    assert state["cpu_count"] == os.cpu_count()
    assert 0 < state["memory_available_bytes"] <= state["memory_total_bytes"]
    assert 0 < state["disk_free_bytes"] <= state["disk_total_bytes"]
    assert all(isinstance(value, int | float) for value in state.values())
