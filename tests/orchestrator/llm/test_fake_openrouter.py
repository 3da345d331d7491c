"""The fake is as strict as the vendor, and the vendor's own SDK style of client can read it."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from orchestrator.llm.openrouter import OpenRouterClient
from tests.fakes.openrouter import API_KEY, FakeOpenRouter
from tests.fakes.openrouter_check import Invalid, check_request
from tests.fakes.openrouter_talk import ask, collect

USER = {"role": "user", "content": "Hello?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "a__b", "arguments": "{}"}}
ASKING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "4"}


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "a__b", **function}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"messages": [USER, ASKING, RESULT, USER]},
        {"messages": [USER, {**ASKING, "reasoning_details": [{"type": "x"}]}, RESULT]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {"tools": [tool(description="d", parameters={"type": "object", "properties": {}})]},
    ],
)
def test_a_correct_request_passes(fields: dict[str, Any]) -> None:
    check_request({"model": "m", "messages": [USER], "stream": True, **fields})


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"model": ""}, "model is required"),
        ({"max_tokenz": 3}, "unknown fields"),
        ({"messages": []}, "non-empty"),
        ({"messages": [{"role": "robot", "content": ""}]}, "role 'robot'"),
        ({"messages": [{**USER, "id": "msg_1"}]}, "unknown fields"),
        ({"messages": [{"role": "user", "content": None}]}, "must be text"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "bad part"),
        ({"messages": [{"role": "assistant", "content": None}]}, "neither content nor"),
        ({"messages": [USER, {**ASKING, "tool_calls": []}]}, "neither content nor"),
        ({"messages": [USER, ASKING]}, "without an answer"),
        ({"messages": [USER, ASKING, USER]}, "without an answer"),
        ({"messages": [USER, ASKING, RESULT, RESULT]}, "answers no open tool call"),
        ({"messages": [USER, RESULT]}, "answers no open tool call"),
        ({"messages": [USER, {**ASKING, "tool_calls": [CALL, CALL]}]}, "must be unique"),
        ({"tools": []}, "non-empty"),
        ({"tools": [tool(name="a.b")]}, "bad name 'a.b'"),
        ({"tools": [tool(name="x" * 65)]}, "bad name"),
        ({"tools": [tool(), tool()]}, "must be unique"),
        ({"tools": [tool(annotations={})]}, "unknown fields"),
        ({"tools": [tool(parameters={"type": "string"})]}, "must be 'object'"),
        ({"tools": [tool(parameters={"type": "object", "required": "x"})]}, "parameters"),
        ({"temperature": 3}, "temperature: 3 is greater"),
        ({"session_id": "x" * 257}, "too long"),
        ({"stream": False, "stream_options": {}}, "needs stream"),
    ],
)
def test_a_wrong_request_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint):
        check_request({"model": "m", "messages": [USER], "stream": True, **fields})


def test_the_openai_sdk_reads_text_tools_and_errors(fake: FakeOpenRouter) -> None:
    with openai.OpenAI(base_url=fake.base_url, api_key=API_KEY, max_retries=0) as sdk:
        create = sdk.chat.completions.create
        whole = create(model="fake/tool", messages=[USER])
        chunks = list(create(model="fake/text", messages=[USER], stream=True))
        with pytest.raises(openai.RateLimitError):
            create(model="fake/429", messages=[USER])

    assert whole.choices[0].message.tool_calls[0].function.name == "weather__forecast"
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(filter(None, texts)) == "Hello from the fake."
    assert chunks[-1].usage.completion_tokens == 9


@pytest.fixture
def bench_url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.fakes.openrouter", "--port", "0", "--chunks", "120"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


async def test_as_a_process_it_streams_for_benchmarks(bench_url: str) -> None:
    async with OpenRouterClient(bench_url) as client:
        _, completion, error = await collect(client, ask("fake/bench"))

    assert error is None
    assert completion.text == "word " * 120
    assert completion.usage.completion_tokens == 120
