"""What a call would do: told to the server's own token, bounded, and said to be there."""

import asyncio
from typing import Annotated, Any

import httpx2
import pytest
from fastmcp import Client
from pydantic import Field
from starlette.testclient import TestClient

from servers.kit import previews as previews_module
from servers.kit.errors import Conflict, NotFound, SignInRequired, Unavailable, UpstreamError
from servers.kit.previews import Preview, PreviewLine
from servers.kit.server import POLICY_META, FleetServer
from tests.servers.kit.probe import Sum, probe_manifest

ItemId = Annotated[str, Field(description="Which item.", max_length=10)]


def _server(answer: Preview | UpstreamError | None) -> FleetServer[object]:
    """A server with the tools `add` and `fail`; of `add` there are previews."""
    mcp = FleetServer[object](probe_manifest("add", "fail"), instructions="For tests.")

    @mcp.fleet_tool
    async def add(item_id: ItemId, count: int = 1) -> Sum:
        """Add something."""
        return Sum(total=count)

    @mcp.fleet_tool
    async def fail() -> Sum:
        """Fail."""
        return Sum(total=0)

    @mcp.preview_of("add")
    async def preview(item_id: ItemId, count: int = 1) -> Preview:
        """Tell."""
        if isinstance(answer, Exception):
            raise answer
        lines = [PreviewLine(name="Item", value=f"{count} of {item_id}")]
        return Preview(lines=lines) if answer is None else answer

    return mcp


def _post(mcp: FleetServer[object], tool: str, body: Any) -> httpx2.Response:
    with TestClient(mcp.http_app()) as client:
        return client.post(f"/previews/{tool}", json=body)


def test_the_preview_gets_the_arguments_of_the_call() -> None:
    answer = _post(_server(None), "add", {"arguments": {"item_id": "apple", "count": "3"}})

    assert answer.status_code == 200
    lines = [{"name": "Item", "value": "3 of apple"}]
    assert answer.json() == {"account": None, "lines": lines, "text": None}


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NotFound("There is no draft 'd1'."), 409, "There is no draft 'd1'."),
        (Conflict("It was changed."), 409, "It was changed."),
        (Unavailable("Toy does not answer."), 502, "Toy does not answer."),
        (
            SignInRequired("Sign in.", reason="ended", capability="read", account="a@b.c"),
            409,
            {
                "code": "sign_in_required",
                "message": "Sign in.",
                "server": "probe",
                "provider": None,
                "reason": "ended",
                "account": "a@b.c",
                "capability": "read",
            },
        ),
    ],
)
def test_a_preview_that_cannot_be_had_says_why(
    error: UpstreamError, status: int, said: object
) -> None:
    answer = _post(_server(error), "add", {"arguments": {"item_id": "apple"}})

    assert (answer.status_code, answer.json()) == (status, {"error": said})


@pytest.mark.parametrize(
    ("tool", "body", "status", "said"),
    [
        ("fail", {"arguments": {}}, 404, "The tool 'fail' has no previews."),
        ("none", {"arguments": {}}, 404, "The tool 'none' has no previews."),
        ("add", {"arguments": {}}, 422, "Invalid arguments for add: item_id is required."),
        ("add", {"arguments": {"item_id": "x" * 11}}, 422, "at most 10 characters"),
        ("add", {"arguments": {"item_id": "x", "x": 1}}, 422, "x is not an argument"),
        ("add", {"arguments": []}, 422, 'The body has to be {"arguments": {...}}.'),
        ("add", 1, 422, "The body has to be"),
    ],
)
def test_what_cannot_be_asked_is_refused(tool: str, body: object, status: int, said: str) -> None:
    answer = _post(_server(None), tool, body)

    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_a_preview_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews_module, "LIMIT_S", 0.0)
    mcp = _server(None)

    @mcp.preview_of("fail")
    async def preview() -> Preview:
        await asyncio.Event().wait()
        raise AssertionError

    answer = _post(mcp, "fail", {"arguments": {}})
    assert (answer.status_code, answer.json()) == (
        502,
        {"error": "What it would do could not be found out in time."},
    )


def test_previews_are_bounded_and_show_what_is_hidden() -> None:
    lines = [PreviewLine(name="n" * 200, value=f"a\n\u202eb {'v' * 10_000}") for _ in range(50)]
    answer = _post(
        _server(Preview(lines=lines, text="one\r\ntwo\x1b[2J" + "t" * 1_000_000)),
        "add",
        {"arguments": {"item_id": "apple"}},
    ).json()

    assert len(answer["lines"]) == 20
    assert answer["lines"][-1] == {"name": "And", "value": "31 more"}
    assert answer["lines"][0]["value"].startswith("a <U+202E>b vvv")
    assert (len(answer["lines"][0]["name"]), len(answer["lines"][0]["value"])) == (80, 300)
    assert answer["text"].startswith("one\ntwo<U+001B>[2Jttt")
    assert answer["text"].endswith("t...")
    assert len(answer["text"]) == 2_000


async def test_a_listed_tool_says_that_it_has_previews() -> None:
    async with Client(_server(None)) as client:
        policies = {tool.name: (tool.meta or {})[POLICY_META] for tool in await client.list_tools()}

    assert policies["add"]["preview"] is True
    assert "preview" not in policies["fail"]


def test_a_preview_of_other_arguments_is_a_mistake_of_its_author() -> None:
    mcp = _server(None)

    with pytest.raises(TypeError, match="the preview of 'fail' takes other arguments"):

        @mcp.preview_of("fail")
        async def preview(item_id: ItemId) -> Preview:
            return Preview()

    with pytest.raises(TypeError, match="'crash' is no tool yet"):
        mcp.preview_of("crash")(preview_of_nothing)


async def preview_of_nothing() -> Preview:
    return Preview()
