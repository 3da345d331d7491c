"""What a model gets from a call, good or bad."""

import logging
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.server.middleware import Middleware
from pydantic import BaseModel

from servers.kit.manifest import ManifestError
from servers.kit.server import FleetServer
from tests.servers.kit.probe import SECRET, probe_manifest
from tests.servers.kit.raw import raw_request


class Empty(BaseModel):
    pass


async def failure(mcp: FleetServer[str], tool: str, arguments: dict[str, Any]) -> str:
    async with Client(mcp) as client:
        result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert result.is_error
    assert result.structured_content is None
    return result.content[0].text


async def test_a_result_is_structured(probe: FleetServer[str]) -> None:
    async with Client(probe) as client:
        result = await client.call_tool("add", {"left": 1, "right": 2})

    assert result.structured_content == {"total": 3}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("input", "limit is 90: use 1 to 50."),
        ("missing", "There is no file '/x'."),
        ("denied", "Sign in again at Settings > Accounts."),
        ("away", "The upstream does not answer. Try again in 7 s."),
    ],
)
async def test_deliberate_errors_reach_the_model_word_for_word(
    probe: FleetServer[str], kind: str, message: str
) -> None:
    assert await failure(probe, "fail", {"kind": kind}) == message


async def test_any_other_error_is_masked_and_logged(
    probe: FleetServer[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("fastmcp"), "propagate", True)

    assert await failure(probe, "crash", {}) == "Error calling tool 'crash'"
    assert SECRET in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Invalid arguments for add: left is required."),
        (
            {"left": 1, "lfet": 2},
            "Invalid arguments for add: lfet is not an argument (there are: left, right).",
        ),
        (
            {"left": 2_000},
            (
                "Invalid arguments for add: left: input should be less than or equal to 1000,"
                " not 2000."
            ),
        ),
        (
            {"left": "x" * 100},
            (
                "Invalid arguments for add: left: input should be a valid integer, unable to parse"
                f" string as an integer, not '{'x' * 59}...."
            ),
        ),
    ],
)
async def test_wrong_arguments_are_explained_plainly(
    probe: FleetServer[str], arguments: dict[str, Any], message: str
) -> None:
    assert await failure(probe, "add", arguments) == message


async def test_an_unknown_tool_is_an_error_result(probe: FleetServer[str]) -> None:
    assert await failure(probe, "nothing", {"a": 1}) == "Unknown tool: 'nothing'"


async def test_a_result_over_the_ceiling_is_refused_whole(probe: FleetServer[str]) -> None:
    message = await failure(probe, "long_text", {"size": 32_000})

    assert message.startswith("The result is 32,011 bytes, over the limit of 32,000. Narrow")


async def test_a_result_under_the_ceiling_arrives_whole(probe: FleetServer[str]) -> None:
    async with Client(probe) as client:
        result = await client.call_tool("long_text", {"size": 31_000})

    assert result.structured_content == {"text": "x" * 31_000}


def test_a_tool_that_the_manifest_does_not_name_is_refused_at_import(
    probe: FleetServer[str],
) -> None:
    def unlabelled() -> Empty:
        """Do nothing."""
        return Empty()

    with pytest.raises(ManifestError, match=r"'unlabelled' is missing in manifest\.toml"):
        probe.fleet_tool(unlabelled)


def test_a_tool_without_a_docstring_is_refused_at_import() -> None:
    def mute() -> Empty:
        return Empty()

    mcp = FleetServer[object](probe_manifest("mute"), instructions="")
    with pytest.raises(TypeError, match="needs a docstring"):
        mcp.fleet_tool(mute)


def test_a_tool_that_returns_a_bare_value_is_refused_at_import() -> None:
    def bare() -> str:
        """Give a text."""
        return ""

    mcp = FleetServer[object](probe_manifest("bare"), instructions="")
    with pytest.raises(TypeError, match="must return a model"):
        mcp.fleet_tool(bare)


def test_a_decorated_function_stays_a_function() -> None:
    def plain() -> Empty:
        """Do nothing."""
        return Empty()

    mcp = FleetServer[object](probe_manifest("plain"), instructions="")

    assert mcp.fleet_tool(plain) is plain
    assert plain.__doc__ == "Do nothing."


def test_the_lifespan_value_is_there_only_while_the_server_runs(probe: FleetServer[str]) -> None:
    with pytest.raises(RuntimeError, match="probe is not running"):
        _ = probe.lifespan_value


async def test_a_call_does_not_list_the_tools(probe: FleetServer[str]) -> None:
    """On 2026-07-28 stock fastmcp lists all tools on every call: 6.9 ms with 100 of them."""
    listings: list[str] = []

    class Count(Middleware):
        async def on_list_tools(self, context: Any, call_next: Any) -> Any:
            listings.append(context.method)
            return await call_next(context)

    probe.add_middleware(Count())
    app = probe.http_app(path="/mcp")
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        answer = await client.post("/mcp", **raw_request("tools/call", "add", {"left": 1}))
        assert answer.json()["result"]["structuredContent"] == {"total": 1}
        assert listings == []
        await client.post("/mcp", **raw_request("tools/list"))
        assert listings == ["tools/list"]
