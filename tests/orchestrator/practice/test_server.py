"""The practice server as programs meet it: the openai SDK, our own client, plain HTTP."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from orchestrator.chat.history import CONTINUE
from orchestrator.llm.deltas import CompletionRequest, ReasoningDelta
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.llm.openrouter import OpenRouterClient
from tests.fakes.openrouter_check import check_request
from tests.orchestrator.practice.conftest import Start

MODEL = "flotilla/practice"
STRING = {"type": "string"}


def tool(name: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


EVALUATE = tool("calculator__evaluate", expression=STRING)
NOW = tool("housekeeping__now", zone=STRING)
HISTORY = tool("housekeeping__search_history", query=STRING)
QUESTION = "what is 17% of 2,340, and what time is it in Lisbon?"


@pytest.fixture
def sdk(practice_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=practice_url, api_key="any", max_retries=0) as client:
        yield client


def say(sdk: openai.OpenAI, message: str, tools: list[dict[str, Any]] | None = None) -> Any:
    messages = [{"role": "user", "content": message}]
    fields = {"tools": tools} if tools else {}
    return sdk.chat.completions.create(model=MODEL, messages=messages, **fields).choices[0]


def after(call: tuple[str, str], content: str, question: str) -> list[dict[str, Any]]:
    """Return a chat in which one tool call was answered with `content`."""
    name, arguments = call
    function = {"name": name, "arguments": arguments}
    asking = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    result = {"role": "tool", "tool_call_id": "c1", "content": content}
    return [{"role": "user", "content": question}, asking, result]


def test_the_sdk_gets_two_parallel_calls_and_then_both_values(sdk: openai.OpenAI) -> None:
    choice = say(sdk, QUESTION, [EVALUATE, NOW])
    calls = choice.message.tool_calls

    assert choice.finish_reason == "tool_calls"
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("calculator__evaluate", {"expression": "17 / 100 * 2340"}),
        ("housekeeping__now", {"zone": "Europe/Lisbon"}),
    ]

    contents = [
        '{"result": "397.8", "is_exact": true}',
        '{"time": "2026-11-20T10:30:00+00:00", "zone": "Europe/Lisbon"}',
    ]
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "tool_calls": [call.to_dict() for call in calls]},
        *(
            {"role": "tool", "tool_call_id": call.id, "content": content}
            for call, content in zip(calls, contents, strict=True)
        ),
    ]
    check_request({"model": MODEL, "messages": messages})
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[EVALUATE, NOW])

    text = answer.choices[0].message.content
    assert "`17% of 2,340` = **397.8**" in text
    assert "Lisbon: **10:30, Friday 20 November 2026** (Europe/Lisbon)" in text


def test_the_sdk_reads_the_stream_in_pieces(sdk: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    chunks = list(
        sdk.chat.completions.create(
            model=MODEL, messages=messages, tools=[EVALUATE, NOW], stream=True
        )
    )

    parts = [p for c in chunks if c.choices for p in c.choices[0].delta.tool_calls or ()]
    joined = {
        index: "".join(p.function.arguments for p in parts if p.index == index) for index in (0, 1)
    }
    assert json.loads(joined[0]) == {"expression": "17 / 100 * 2340"}
    assert json.loads(joined[1]) == {"zone": "Europe/Lisbon"}
    assert len([p for p in parts if p.index == 0]) > 2, "arguments come in pieces"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens > 0


async def test_our_client_reads_reasoning_text_usage_and_cost(practice_url: str) -> None:
    request = CompletionRequest(MODEL, [{"role": "user", "content": "/think"}])
    async with OpenRouterClient(practice_url) as client, client.stream(request) as stream:
        deltas = [delta async for batch in stream for delta in batch]

    assert isinstance(deltas[0], ReasoningDelta)
    completion = stream.completion
    assert "So I think a little" in completion.reasoning
    assert "".join(detail["text"] for detail in completion.reasoning_details) == (
        completion.reasoning
    )
    assert completion.text.startswith("I have thought about it")
    assert completion.finish_reason == "stop"
    assert completion.usage.completion_tokens > 0
    assert completion.usage.cost_microusd == 0


def test_the_same_question_gets_the_same_answer(sdk: openai.OpenAI) -> None:
    first, second = say(sdk, QUESTION, [EVALUATE]), say(sdk, QUESTION, [EVALUATE])

    assert first.message.tool_calls[0].function == second.message.tool_calls[0].function
    assert first.message.tool_calls[0].id != second.message.tool_calls[0].id


def test_without_a_tool_it_says_which_one_is_missing(sdk: openai.OpenAI) -> None:
    choice = say(sdk, QUESTION)

    assert choice.message.tool_calls is None
    assert "“17% of 2,340” I need the tool `calculator__evaluate`" in choice.message.content
    assert "*Servers* on the page says whether *housekeeping* is there" in choice.message.content


def test_half_of_the_tools_are_used_and_the_rest_is_named(sdk: openai.OpenAI) -> None:
    asked = say(sdk, QUESTION, [NOW])
    messages = after(("housekeeping__now", "{}"), '{"time": "10:30"}', QUESTION)
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[NOW])

    text = answer.choices[0].message.content
    assert [call.function.name for call in asked.message.tool_calls] == ["housekeeping__now"]
    assert "The time in Lisbon: **10:30**" in text
    assert "`calculator__evaluate`, which is not offered" in text


def test_a_tool_error_is_told_and_not_hidden(sdk: openai.OpenAI) -> None:
    messages = after(("calculator__evaluate", "{}"), "Division by zero.", "what is 1/0?")
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[EVALUATE])

    text = answer.choices[0].message.content
    assert "1/0: `calculator__evaluate` gave no result but said:\n\n> Division by zero." in text


def test_a_tool_that_has_gone_since_its_call_is_not_called_missing(sdk: openai.OpenAI) -> None:
    messages = after(("calculator__evaluate", "{}"), "The server is away.", "what is 6*7?")
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[NOW])

    text = answer.choices[0].message.content
    assert text == "6*7: `calculator__evaluate` gave no result but said:\n\n> The server is away."


@pytest.mark.parametrize("request_to_go_on", [CONTINUE, "continue", "please go on!"])
def test_an_answer_that_was_cut_off_goes_on_where_it_stopped(
    sdk: openai.OpenAI, request_to_go_on: str
) -> None:
    whole = say(sdk, "/long 3").message.content
    messages = [{"role": "user", "content": "/long 3"}]
    for said in (whole[:100], whole[100:300]):
        messages += [
            {"role": "assistant", "content": said},
            {"role": "user", "content": request_to_go_on},
        ]
    answer = sdk.chat.completions.create(model=MODEL, messages=messages)

    assert answer.choices[0].message.content.split() == whole[300:].split()


def test_an_answer_that_is_whole_has_nothing_to_go_on_with(sdk: openai.OpenAI) -> None:
    whole = say(sdk, "/long 1").message.content
    messages = [
        {"role": "user", "content": "/long 1"},
        {"role": "assistant", "content": whole},
        {"role": "user", "content": "continue"},
    ]
    answer = sdk.chat.completions.create(model=MODEL, messages=messages)

    assert answer.choices[0].message.content == "That was all I had to say."


def test_notes_around_a_result_do_not_hide_it(sdk: openai.OpenAI) -> None:
    content = 'A note.\n{"result": "4"}\n[cut here]'
    messages = after(("calculator__evaluate", "{}"), content, "what is 2+2?")
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[EVALUATE])

    assert answer.choices[0].message.content == "`2+2` = **4**"


def test_search_hits_become_a_list(sdk: openai.OpenAI) -> None:
    hits = {"items": [{"session_id": "s1", "title": "Kitchen", "untrusted_snippet": "blue tiles"}]}
    question = "search my chats for tiles"
    messages = after(("housekeeping__search_history", "{}"), json.dumps(hits), question)
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[HISTORY])

    assert "- **Kitchen**: blue tiles" in answer.choices[0].message.content


def test_call_runs_any_tool_with_the_given_json(sdk: openai.OpenAI) -> None:
    question = '/call other__thing {"a": [1, 2]}\n/call other__thing'
    choice = say(sdk, question, [tool("other__thing")])
    messages = after(("other__thing", "{}"), '{"b": 1}', question)
    answer = sdk.chat.completions.create(model=MODEL, messages=messages)

    arguments = [json.loads(call.function.arguments) for call in choice.message.tool_calls]
    assert arguments == [{"a": [1, 2]}, {}]
    assert '`other__thing` answered:\n\n```json\n{\n  "b": 1\n}\n```' in (
        answer.choices[0].message.content
    )


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("/call nobody__nothing {}", "`nobody__nothing` is not offered in this chat. Offered are"),
        ("/call calculator__evaluate {oops", "`calculator__evaluate` are not a JSON object"),
        ("/call calculator__evaluate [1]", "`calculator__evaluate` are not a JSON object"),
        ("/call", "Write it as `/call server__tool {json}`"),
    ],
)
def test_a_call_that_cannot_be_made_is_explained(
    sdk: openai.OpenAI, command: str, complaint: str
) -> None:
    choice = say(sdk, command, [EVALUATE])

    assert choice.message.tool_calls is None
    assert complaint in choice.message.content


def test_other_messages_get_an_honest_introduction(sdk: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "what is love"}]
    messages = [{"role": "system", "content": "Be kind. What is 2+2?"}]
    messages.append({"role": "user", "content": parts})
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[EVALUATE])

    assert answer.choices[0].message.tool_calls is None
    assert "I am Flotilla's practice model" in answer.choices[0].message.content
    assert "set `OPENROUTER_API_KEY`" in answer.choices[0].message.content


def test_demo_commands_show_the_page_at_work(sdk: openai.OpenAI) -> None:
    assert "```python" in say(sdk, "/markdown").message.content
    assert say(sdk, "/long 3").message.content.count("**Paragraph") == 3
    assert say(sdk, "/long 99999999").message.content.count("**Paragraph") == 500


def test_models_key_and_generation_answer(practice_url: str, sdk: openai.OpenAI) -> None:
    with httpx2.Client(base_url=practice_url) as http:
        whole = http.post(
            "/chat/completions",
            json={"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]},
        )
        record = http.get("/generation", params={"id": whole.json()["id"]}).json()["data"]
        unknown = http.get("/generation", params={"id": "gen-x"})
        key = http.get("/key").json()["data"]

    assert [model.id for model in sdk.models.list()] == [MODEL]
    assert whole.headers["x-generation-id"] == record["id"]
    assert (record["total_cost"], unknown.status_code, key["usage"]) == (0, 404, 0)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"nonsense", 400, "invalid_request"),
        (b"\xff", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b'{"model": "openai/gpt", "messages": []}', 404, "not_found"),
        (b'{"model": "flotilla/practice"}', 400, "invalid_request"),
        (b'{"model": "flotilla/practice", "messages": ["x"]}', 400, "invalid_request"),
        (b'{"model": "flotilla/practice", "messages": [{}]}', 400, "invalid_request"),
        (
            b'{"model": "flotilla/practice", "messages": [{"role": "x", "tool_calls": [1]}]}',
            400,
            "invalid_request",
        ),
        (
            b'{"model": "flotilla/practice", "messages": [{"role": "user"}], "tools": 3}',
            400,
            "invalid_request",
        ),
    ],
)
def test_wrong_requests_get_the_vendors_error_body(
    practice_url: str, body: bytes, status: int, kind: str
) -> None:
    with httpx2.Client() as http:
        answer = http.post(f"{practice_url}/chat/completions", content=body)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, status)
    assert error["metadata"]["error_type"] == kind


def test_a_body_past_the_limit_is_refused(practice_url: str) -> None:
    with httpx2.Client() as http:
        answer = http.post(f"{practice_url}/chat/completions", content=b" " * (33 * 1_048_576))

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, 413)


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:9100"}, {"Host": ""},
     {"Origin": "https://evil.example"}],
)  # fmt: skip
def test_web_pages_and_foreign_hosts_are_refused(
    practice_url: str, headers: dict[str, str]
) -> None:
    with httpx2.Client() as http:
        answer = http.get(f"{practice_url}/models", headers=headers)

    assert answer.status_code == 403


def test_a_set_key_is_the_only_one_accepted(start_practice: Start) -> None:
    with start_practice(PRACTICE_API_KEY="sesame") as url, httpx2.Client() as http:
        codes = [
            http.get(f"{url}/models", headers=headers).status_code
            for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer sesame"})
        ]

    assert codes == [401, 401, 200]


def test_the_pace_is_kept(start_practice: Start) -> None:
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "/call"}]}
    with start_practice("--pace-ms", "30") as url, httpx2.Client() as http:
        started = time.monotonic()
        answer = http.post(f"{url}/chat/completions", json=body)
        elapsed_s = time.monotonic() - started

    words = answer.text.count('"content"') + answer.text.count('"reasoning"') - 2
    assert answer.text.startswith(": OPENROUTER PROCESSING\n\n")
    assert elapsed_s >= words * 0.03


def test_it_stays_light() -> None:
    """It runs beside the fleet all day: no framework of the orchestrator may creep in."""

    heavy = "{'fastapi', 'fastmcp', 'sqlalchemy', 'pydantic', 'aiohttp'}"
    program = f"import orchestrator.practice.__main__, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"


async def test_the_practice_model_is_listed_as_free_and_able_to_use_tools(
    practice_url: str, tmp_path: Path
) -> None:
    async with ModelEndpoints(practice_url, None, cache_dir=tmp_path) as llm:
        ((practice,),) = [one.models for one in await llm.listed()]
        checks = await llm.check()

    assert (practice.id, practice.endpoint) == ("flotilla/practice", "openrouter")
    assert practice.pricing.is_free
    assert practice.tools is True
    assert practice.context_length == 1_000_000
    assert (practice.input_modalities, practice.output_modalities) == (("text",), ("text",))
    host = practice_url.split("/")[2]
    assert [check.sentence for check in checks] == [f"OpenRouter at {host} answers; no key is set."]
