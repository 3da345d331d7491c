"""The client against the strict fake: what it sends, what it yields, when it lets go."""

import asyncio
import time

import pytest
from pydantic import SecretStr

from orchestrator.errors import ModelUnavailable
from orchestrator.llm.deltas import (
    ImageDelta,
    ModelSwitched,
    ModelToolCall,
    ReasoningDelta,
    SourceDelta,
    TextDelta,
    Usage,
)
from orchestrator.llm.openrouter import OpenRouterClient
from tests.fakes.openrouter import API_KEY, SCRIPT_MODEL, FakeOpenRouter
from tests.fakes.openrouter_rounds import Call, Drop, Failure, Round, calls, text
from tests.fakes.openrouter_scenarios import PNG, UTF8_TEXT
from tests.fakes.openrouter_signal import Gate
from tests.fakes.openrouter_talk import ask, collect

TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather__forecast", "parameters": {"type": "object"}},
    }
]


async def test_text_arrives_with_model_usage_and_ids(client: OpenRouterClient) -> None:
    deltas, completion, error = await collect(client, ask("fake/text"))

    assert error is None
    assert "".join(delta.text for delta in deltas) == completion.text == "Hello from the fake."
    assert completion.finish_reason == "stop"
    assert completion.usage == Usage(20, 9, 3, 4, cost_microusd=120)
    assert (completion.model, completion.provider) == ("fake/text", "Fake")
    assert completion.generation_id.startswith("gen-")


async def test_the_body_has_exactly_what_was_asked_for(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    request = ask("fake/text", tools=TOOLS, parameters={"temperature": 0.2}, session_id="ses_1")

    await collect(client, request)

    assert fake.received[-1].body == {
        "model": "fake/text",
        "messages": [{"role": "user", "content": "Hello?"}],
        "tools": TOOLS,
        "temperature": 0.2,
        "session_id": "ses_1",
        "stream": True,
        "stream_options": {"include_usage": True},
        "usage": {"include": True},
    }


async def test_tools_and_session_are_left_out_when_there_are_none(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    await collect(client, ask("fake/text"))

    assert not {"tools", "session_id"} & set(fake.received[-1].body)


async def test_strict_endpoints_get_no_fields_of_openrouter(fake: FakeOpenRouter) -> None:
    async with OpenRouterClient(fake.base_url, API_KEY, is_openrouter=False) as client:
        await collect(client, ask("fake/text", session_id="ses_1"))

    assert not {"usage", "session_id"} & set(fake.received[-1].body)


async def test_headers_name_the_app_and_carry_the_key(fake: FakeOpenRouter) -> None:
    key = SecretStr(f" {API_KEY}\n")
    async with OpenRouterClient(fake.base_url, key, app_url="https://home.example") as client:
        await collect(client, ask("fake/text"))

    headers = fake.received[-1].headers
    assert headers["authorization"] == f"Bearer {API_KEY}"
    assert headers["accept-encoding"] == "identity"
    assert headers["x-openrouter-title"] == "Flotilla"
    assert headers["http-referer"] == "https://home.example"


async def test_no_key_means_no_authorization_header(fake: FakeOpenRouter) -> None:
    async with OpenRouterClient(fake.base_url) as client:
        await collect(client, ask("fake/text"))

    assert "authorization" not in fake.received[-1].headers


async def test_parallel_tool_calls_are_joined_from_interleaved_pieces(
    client: OpenRouterClient,
) -> None:
    _, completion, _ = await collect(client, ask("fake/parallel"))

    assert [(call.name, call.arguments) for call in completion.tool_calls] == [
        ("weather__forecast", '{"city": "Lisbon"}'),
        ("clock__now", '{"zone": "Asia/Tokyo"}'),
    ]
    assert completion.finish_reason == "tool_calls"


async def test_arguments_that_are_no_json_are_passed_on(client: OpenRouterClient) -> None:
    _, completion, error = await collect(client, ask("fake/bad-json"))

    assert error is None
    assert completion.tool_calls[0].arguments == '{"city": Lis'


async def test_a_second_call_with_the_same_id_gets_its_own(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    fake.script(calls(Call("a", {}, id="call_x"), Call("b", {}, id="call_x")))

    _, completion, _ = await collect(client, ask(SCRIPT_MODEL))

    first, second = completion.tool_calls
    assert first == ModelToolCall("call_x", "a", "{}")
    assert second.id not in ("", "call_x")


async def test_reasoning_is_shown_and_its_details_kept_verbatim(client: OpenRouterClient) -> None:
    deltas, completion, _ = await collect(client, ask("fake/reasoning"))

    common = {"type": "reasoning.text", "id": "r1", "format": "anthropic-claude-v1", "index": 0}
    assert completion.reasoning == "Two and two."
    assert isinstance(deltas[0], ReasoningDelta)
    assert isinstance(deltas[-1], TextDelta)
    assert completion.reasoning_details == [
        {**common, "text": "Two and ", "signature": None},
        {**common, "text": "two.", "signature": None},
        {**common, "text": "", "signature": "c2lnbmVk"},
    ]


async def test_sources_and_images_become_deltas(client: OpenRouterClient) -> None:
    sourced, completion, _ = await collect(client, ask("fake/annotations"))
    pictured, _, _ = await collect(client, ask("fake/images"))

    source = SourceDelta("https://weather.example/lisbon", "Lisbon weather")
    assert source in sourced
    assert completion.sources == [source]
    assert ImageDelta(PNG) in pictured


async def test_characters_cut_in_two_arrive_whole(client: OpenRouterClient) -> None:
    _, completion, _ = await collect(client, ask("fake/utf8"))

    assert completion.text == UTF8_TEXT


@pytest.mark.parametrize("model", ["fake/no-done", "fake/debug", "fake/no-usage", "fake/json"])
async def test_other_ways_to_end_a_stream_are_fine(client: OpenRouterClient, model: str) -> None:
    _, completion, error = await collect(client, ask(model))

    assert error is None
    assert completion.text in ("Fine.", "Hello from the fake.")


async def test_an_empty_answer_is_an_answer(client: OpenRouterClient) -> None:
    deltas, completion, error = await collect(client, ask("fake/empty"))

    assert (deltas, error, completion.finish_reason) == ([], None, "stop")


async def test_a_cut_answer_says_so(client: OpenRouterClient) -> None:
    _, completion, _ = await collect(client, ask("fake/length"))

    assert completion.finish_reason == "length"


async def test_comments_keep_a_slow_answer_alive(fake: FakeOpenRouter) -> None:
    # 20 comments at 20 ms: longer than both limits, which a comment renews.
    async with OpenRouterClient(
        fake.base_url, API_KEY, first_byte_timeout_s=0.25, idle_timeout_s=0.25
    ) as client:
        _, completion, error = await collect(client, ask("fake/comments"))

    assert error is None
    assert completion.text == "At last."


async def test_an_error_in_the_middle_keeps_what_came(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    requests = len(fake.received)

    deltas, completion, error = await collect(client, ask("fake/mid-error"))

    assert isinstance(error, ModelUnavailable)
    assert "Provider disconnected" in str(error)
    assert completion.text == "Half an answer"
    assert deltas
    assert len(fake.received) == requests + 1, "a begun answer is never tried again"


async def test_a_dropped_connection_keeps_what_came(client: OpenRouterClient) -> None:
    _, completion, error = await collect(client, ask("fake/drop"))

    assert isinstance(error, ModelUnavailable)
    assert "dropped the connection" in str(error)
    assert completion.text == "Half an answer"


async def test_half_a_tool_call_is_never_handed_out(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    half = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "a", "arguments": "{"}}]}
    fake.script(Round((half, Drop())))

    _, completion, error = await collect(client, ask(SCRIPT_MODEL))

    assert isinstance(error, ModelUnavailable)
    assert completion.tool_calls == []


async def test_a_failure_before_the_first_token_is_tried_again(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    fake.script(Round(status=503), Round((Failure(),)), text("Third time lucky."))

    _, completion, error = await collect(client, ask(SCRIPT_MODEL))

    assert error is None
    assert completion.text == "Third time lucky."


async def test_after_three_tries_the_fallback_answers_and_says_so(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    before = len(fake.received)
    request = ask("fake/500", fallback_models=("fake/404", "fake/text", "fake/length"))

    deltas, completion, error = await collect(client, request)

    assert error is None
    assert [r.body["model"] for r in fake.received[before:]] == [
        *["fake/500"] * 3,
        "fake/404",
        "fake/text",
    ]
    assert isinstance(deltas[0], ModelSwitched)
    assert deltas[0].model == completion.model == "fake/text"
    assert "does not know 'fake/404'" in deltas[0].reason


async def test_no_fallback_after_the_first_token_or_with_a_wrong_key(
    client: OpenRouterClient,
) -> None:
    _, _, begun = await collect(client, ask("fake/drop", fallback_models=("fake/text",)))
    _, _, keyless = await collect(client, ask("fake/401", fallback_models=("fake/text",)))

    assert (begun.code, keyless.code) == ("model_unavailable", "model_auth")


async def test_a_long_retry_after_is_reported_and_not_waited_for(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    fake.script(Round(status=429, headers={"Retry-After": "120"}))

    _, _, error = await collect(client, ask(SCRIPT_MODEL))

    assert error.code == "model_rate_limited"
    assert error.retry_after_s == 120
    assert "in 120 s" in str(error)


async def test_a_short_retry_after_is_waited_for(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    fake.script(Round(status=429, headers={"Retry-After": "0.2"}), text("Now."))
    started = time.monotonic()

    _, completion, _ = await collect(client, ask(SCRIPT_MODEL))

    assert completion.text == "Now."
    assert time.monotonic() - started >= 0.2


async def test_leaving_early_closes_upstream_within_50_ms(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    number = len(fake.received)
    async with client.stream(ask("fake/stuck")) as stream:
        async for _ in stream:
            break
        left_at = time.monotonic()

    request = await fake.request(number)
    await request.hung_up.wait()
    assert request.hung_up_at - left_at <= 0.05
    assert stream.completion.text == "Half an answer"


@pytest.mark.parametrize("has_begun", [True, False])
async def test_cancelling_closes_upstream_within_50_ms(
    client: OpenRouterClient, fake: FakeOpenRouter, *, has_begun: bool
) -> None:
    number, gate = len(fake.received), Gate()
    fake.script(Round(("Half", gate) if has_begun else (gate,)))

    task = asyncio.ensure_future(collect(client, ask(SCRIPT_MODEL)))
    await gate.reached.wait()
    cancelled_at = time.monotonic()
    task.cancel()

    request = await fake.request(number)
    await request.hung_up.wait()
    assert request.hung_up_at - cancelled_at <= 0.05
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("model", ["fake/silent", "fake/stuck"])
async def test_silence_ends_at_the_limit(fake: FakeOpenRouter, model: str) -> None:
    async with OpenRouterClient(
        fake.base_url, API_KEY, first_byte_timeout_s=0.2, idle_timeout_s=0.2, retry_delay_s=0.001
    ) as client:
        _, _, error = await collect(client, ask(model))

    assert isinstance(error, ModelUnavailable)
    assert "sent nothing for too long" in str(error)


async def test_a_finished_answer_leaves_its_connection_for_the_next(
    client: OpenRouterClient,
) -> None:
    await collect(client, ask("fake/text"))
    await collect(client, ask("fake/text"))

    connector = client.session.connector
    assert sum(len(group) for group in connector._conns.values()) == 1


async def test_many_streams_run_beside_each_other(
    client: OpenRouterClient, fake: FakeOpenRouter
) -> None:
    gates = [Gate() for _ in range(120)]
    fake.script(*(text("a", gate, "b") for gate in gates), model="fake/many")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(collect(client, ask("fake/many"))) for _ in gates]
        for gate in gates:
            await gate.reached.wait()
        for gate in gates:
            gate.open()

    assert all(task.result()[1].text == "ab" for task in tasks)


async def test_the_models_are_listed_with_prices(client: OpenRouterClient) -> None:
    model = (await client.models())[0]

    assert (model.id, model.context_length) == ("fake/text", 128_000)
    assert model.pricing.prompt == 1
    assert "tools" in model.supported_parameters
    assert model.input_modalities == ("text", "image")
