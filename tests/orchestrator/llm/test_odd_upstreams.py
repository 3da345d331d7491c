"""Upstreams that bend the protocol, byte for byte over a plain socket."""

import asyncio
import json
import socket
from typing import Any

import pytest

from orchestrator.errors import ModelError, ModelUnavailable
from orchestrator.llm.deltas import ModelToolCall, SourceDelta, Usage
from orchestrator.llm.openrouter import OpenRouterClient
from tests.fakes.openrouter_talk import (
    JSON_HEAD,
    SSE_HEAD,
    ask,
    collect,
    collect_raw,
    raw_upstream,
)

DONE = b"data: [DONE]\n\n"


def sse(*deltas: dict[str, Any], finish: str | None = "stop") -> bytes:
    choices = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    events = [json.dumps({"choices": [choice]}) for choice in choices]
    return "".join(f"data: {event}\n\n" for event in events).encode()


@pytest.mark.parametrize(
    ("cost", "microusd"),
    [
        ("0.0000005", 1),
        ("0.00000049999999999", 0),
        ("1.0000015", 1_000_002),
        ("1.1e-5", 11),
        ("0.1", 100_000),
        ("3", 3_000_000),
    ],
)
async def test_cost_is_exact_and_rounded_half_up(cost: str, microusd: int) -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 1, "cost": %s}}\n\n' % cost.encode()

    _, completion, _ = await collect_raw(SSE_HEAD, sse({"content": "x"}), usage, DONE)

    assert completion.usage == Usage(prompt_tokens=1, cost_microusd=microusd)


@pytest.mark.parametrize("cost", ["null", "-1", "1e99999", '"NaN"'])
async def test_a_cost_that_nobody_can_have_meant_is_not_known(cost: str) -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 1, "cost": %s}}\n\n' % cost.encode()

    _, completion, error = await collect_raw(SSE_HEAD, sse({"content": "x"}), usage, DONE)

    assert error is None
    assert completion.usage == Usage(prompt_tokens=1, is_priced=False)


@pytest.mark.parametrize(
    ("told", "tokens"), [("5.0", 5), ("-5", 0), ("null", 0), ("9" * 30, 10**12), ("1e300", 10**12)]
)
async def test_odd_counts_of_tokens_are_numbers_that_can_be_stored(told: str, tokens: int) -> None:
    usage = (
        b'data: {"choices": [], "usage": {"prompt_tokens": %s, "cost": 0.1}}\n\n' % told.encode()
    )
    _, completion, error = await collect_raw(
        SSE_HEAD + sse({"content": "Fine."}) + usage + DONE,
    )
    assert error is None
    assert completion.usage == Usage(prompt_tokens=tokens, cost_microusd=100_000)


async def test_unknown_fields_and_nulls_are_passed_over() -> None:
    odd = {"choices": None, "usage": None, "id": None, "novelty": [1], "error": None}
    event = b"data: " + json.dumps(odd).encode() + b"\n\n"
    part = {"content": None, "reasoning": None, "tool_calls": None, "audio": {}, "images": None}

    deltas, completion, error = await collect_raw(
        SSE_HEAD, event, sse(part, {"content": "x"}), DONE
    )

    assert (error, completion.text, len(deltas)) == (None, "x", 1)


async def test_content_in_parts_and_the_other_name_of_reasoning_are_read() -> None:
    parts = {"content": [{"type": "text", "text": "Hi"}, {"type": "odd"}]}
    chunks = sse({"reasoning_content": "Hm."}, parts, {"refusal": " No."})

    _, completion, _ = await collect_raw(SSE_HEAD, chunks, DONE)

    assert (completion.reasoning, completion.text) == ("Hm.", "Hi No.")


async def test_reasoning_only_in_details_is_shown() -> None:
    details = [{"type": "reasoning.summary", "summary": "Sum."}, {"type": "reasoning.encrypted"}]

    _, completion, _ = await collect_raw(SSE_HEAD, sse({"reasoning_details": details}), DONE)

    assert (completion.reasoning, completion.reasoning_details) == ("Sum.", details)


async def test_calls_that_share_an_index_are_told_apart_by_id() -> None:
    calls = [
        {"index": 0, "id": "a", "function": {"name": "one", "arguments": {"x": 1}}},
        {"index": 0, "id": "b", "function": {"name": "two", "arguments": "{}"}},
    ]

    _, completion, _ = await collect_raw(SSE_HEAD, sse({"tool_calls": calls}), DONE)

    assert completion.tool_calls == [
        ModelToolCall("a", "one", '{"x":1}'),
        ModelToolCall("b", "two", "{}"),
    ]


async def test_calls_without_an_id_get_one() -> None:
    calls = [{"index": index, "function": {"name": "one", "arguments": "{}"}} for index in range(2)]

    _, completion, _ = await collect_raw(SSE_HEAD, sse({"tool_calls": calls}), DONE)

    first, second = (call.id for call in completion.tool_calls)
    assert first.startswith("call_")
    assert first != second


async def test_fragments_without_an_index_go_on_with_the_last_call() -> None:
    fragments = [
        {"tool_calls": [{"id": "a", "function": {"name": "one", "arguments": '{"x"'}}]},
        {"tool_calls": [{"function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"id": "b", "function": {"name": "two"}}]},
    ]

    _, completion, _ = await collect_raw(SSE_HEAD, sse(*fragments), DONE)

    assert completion.tool_calls == [
        ModelToolCall("a", "one", '{"x":1}'),
        ModelToolCall("b", "two", ""),
    ]


async def test_sources_are_shown_once_and_only_web_addresses() -> None:
    urls = ["https://a.example", "https://a.example", "javascript:alert(1)", None]
    notes = [{"type": "url_citation", "url_citation": {"url": url}} for url in urls]

    _, completion, _ = await collect_raw(
        SSE_HEAD, sse({"annotations": [*notes, {"type": "file"}]}, {"images": [{}]}), DONE
    )

    assert completion.sources == [SourceDelta("https://a.example", "https://a.example")]


async def test_a_whole_json_completion_is_read_like_a_stream() -> None:
    body = {
        "id": "gen-1",
        "model": "m2",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "tool_calls": [
                        {
                            "id": "a",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        },
                        {
                            "id": "b",
                            "type": "function",
                            "function": {"name": "g", "arguments": "{}"},
                        },
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }

    # Blank lines first: they keep a connection alive while the answer is made.
    _, completion, error = await collect_raw(JSON_HEAD, b"\n", b"\n  " + json.dumps(body).encode())

    assert error is None
    assert (completion.text, completion.model) == ("Hi", "m2")
    assert [call.name for call in completion.tool_calls] == ["f", "g"]
    assert completion.usage == Usage(prompt_tokens=3, completion_tokens=1, is_priced=False)


@pytest.mark.parametrize(
    "body",
    [
        b"data: {not json}\n\n",
        b'data: {"choices": "text"}\n\n',
        b'data: {"id": "\xff"}\n\n',
        b"data: \n\n",
        b"{",
        b"",
        b"nonsense",
        b": only a comment\n\n",
    ],
)
async def test_garbage_is_an_error_and_not_an_answer(body: bytes) -> None:
    _, completion, error = await collect_raw(SSE_HEAD, body)

    assert isinstance(error, ModelUnavailable)
    assert completion.finish_reason is None


async def test_done_without_a_finish_reason_is_an_end() -> None:
    _, completion, error = await collect_raw(SSE_HEAD, sse({"content": "x"}, finish=None), DONE)

    assert (error, completion.text, completion.finish_reason) == (None, "x", None)


async def test_the_last_event_may_lack_its_blank_line() -> None:
    _, completion, error = await collect_raw(SSE_HEAD, sse({"content": "x"}).rstrip())

    assert (error, completion.text, completion.finish_reason) == (None, "x", "stop")


async def test_an_answer_past_a_limit_is_cut() -> None:
    endless = [sse({"content": "x" * 1000}, finish=None)] * 50

    _, _, event = await collect_raw(SSE_HEAD, b"data: " + b"x" * 5000, max_event_bytes=2000)
    _, completion, stream = await collect_raw(SSE_HEAD, *endless, max_stream_bytes=20_000)

    assert type(event) is type(stream) is ModelError
    assert "sent more than" in str(event)
    assert 0 < len(completion.text) <= 20_000


async def test_errors_of_other_makers_are_quoted() -> None:
    head = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"

    _, _, plain = await collect_raw(head, b'{"error": "model \\"m\\" ', b'not found"}')
    _, _, framework = await collect_raw(head, b'{"detail": "Not Found"}')
    _, _, page = await collect_raw(head, b"<html>")

    assert 'It says: "model "m" not found"' in str(plain)
    assert 'It says: "Not Found"' in str(framework)
    assert str(page).endswith("Choose another model.")


async def test_a_redirect_is_not_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"

    _, _, error = await collect_raw(head)

    assert error.code == "model_request"
    assert "answered with a redirect. Check OPENROUTER_BASE_URL." in str(error)


async def test_a_refused_connection_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with OpenRouterClient(f"http://127.0.0.1:{port}/v1", retry_delay_s=0.001) as client:
        _, _, error = await collect(client, ask("m"))

    assert isinstance(error, ModelUnavailable)
    assert f"Cannot connect to OpenRouter at 127.0.0.1:{port}" in str(error)
    assert "Check OPENROUTER_BASE_URL" in str(error)


async def test_a_connection_closed_before_the_answer_is_tried_again() -> None:
    served = 0

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        if served == 3:
            writer.write(SSE_HEAD + sse({"content": "x"}) + DONE)

    async with (
        raw_upstream(handler) as url,
        OpenRouterClient(url, retry_delay_s=0.001) as client,
    ):
        _, completion, error = await collect(client, ask("m"))

    assert (error, completion.text, served) == (None, "x", 3)


async def test_a_burst_is_one_item() -> None:
    burst = SSE_HEAD + sse(*[{"content": "word "}] * 100) + DONE

    deltas, completion, _ = await collect_raw(burst)

    assert len(deltas) <= 2
    assert completion.text == "word " * 100
