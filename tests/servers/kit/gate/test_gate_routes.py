"""What programs read over HTTP: the audit trail and what became of a call."""

import hashlib
from typing import Any

import httpx2
import pytest

from servers.kit.gate.canonical import canonical_json
from tests.fakes.effects import EffectsServer, granted
from tests.servers.kit.gate.in_memory import MESSAGE, called


def get(server: EffectsServer, path: str, **headers: str) -> httpx2.Response:
    return httpx2.get(
        f"{server.origin}/{path}",
        headers={"Authorization": f"Bearer {server.token}"} | headers,
    )


async def test_the_trail_comes_in_pages_and_can_be_checked(effects_process: EffectsServer) -> None:
    async with effects_process.client() as client:
        for number in range(3):
            await called(client, "add_label", {"item_id": f"i{number}", "label": "red"})
    head: dict[str, Any] = get(effects_process, "audit").json()["head"]
    first = get(effects_process, "audit?after=0&limit=2").json()
    rest = get(effects_process, f"audit?after={first['items'][-1]['position']}").json()

    rows = [*first["items"], *rest["items"]]
    assert len(first["items"]) == 2
    assert [row["position"] for row in rows] == list(range(1, head["position"] + 1))
    previous = "0" * 64
    for row in rows:
        hash_ = row.pop("hash")
        assert row["previous_hash"] == previous
        assert hashlib.sha256(canonical_json(row)).hexdigest() == hash_
        previous = hash_
    assert previous == head["hash"]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=1001", "limit=", "after=٣"])
def test_a_page_that_cannot_be_is_refused(effects_process: EffectsServer, query: str) -> None:
    answer = get(effects_process, f"audit?{query}")

    assert answer.status_code == 400
    assert "limit at most 1,000" in answer.json()["error"]


async def test_a_call_can_be_asked_about(effects_process: EffectsServer) -> None:
    meta = granted(effects_process.data_dir, "send_message", MESSAGE, "call_asked")
    async with effects_process.client() as client:
        result = await client.call_tool("send_message", MESSAGE, meta=meta)
    found = get(effects_process, "calls/call_asked").json()

    assert found["state"] == "done"
    assert found["result"]["structuredContent"] == result.structured_content
    assert found["result"]["_meta"] == {"flotilla/call_id": "call_asked", "flotilla/effects": 1}
    absent = {"call_id": "call_none", "state": "absent", "result": None}
    assert get(effects_process, "calls/call_none").json() == absent


@pytest.mark.parametrize("path", ["audit", "calls/call_1"])
def test_both_need_the_token(effects_process: EffectsServer, path: str) -> None:
    answers = [
        httpx2.get(f"{effects_process.origin}/{path}"),
        get(effects_process, path, Authorization="Bearer wrong"),
        get(effects_process, path, Origin="http://evil.example"),
        httpx2.post(
            f"{effects_process.origin}/{path}",
            headers={"Authorization": f"Bearer {effects_process.token}"},
        ),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 403, 405]
