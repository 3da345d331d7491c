"""What of the settings is sent to which model, and what is reported as left out."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.domain.model_info import ModelInfo
from orchestrator.domain.model_settings import MaxPrice, Parameters, ProviderRouting, Reasoning
from orchestrator.llm.deltas import CompletionRequest
from orchestrator.llm.endpoint import Endpoint, speaks_openrouter
from orchestrator.llm.request import left_out, request_body

OPENROUTER = Endpoint(
    base_url="https://openrouter.ai/api/v1",
    api_key="k",
    app_title="Flotilla",
    app_url=None,
    name="OpenRouter",
    key_setting="K",
    url_setting="U",
)
STRICT = replace(OPENROUTER, base_url="https://llm.example/v1", is_openrouter=False, id="strict")
PARAMETERS = Parameters(
    temperature=0.2,
    top_k=40,
    max_tokens=500,
    stop=("END",),
    verbosity="max",
    reasoning=Reasoning(effort="high", exclude=True),
)
ROUTING = ProviderRouting(order=("acme",), max_price=MaxPrice(prompt=Decimal("0.5")), zdr=True)


def known(*supported: str) -> ModelInfo:
    return ModelInfo(id="a/b", endpoint="openrouter", name="B", supported_parameters=supported)


def body(endpoint: Endpoint, **fields: Any) -> dict[str, Any]:
    request = CompletionRequest("m", [{"role": "user", "content": "?"}], **fields)
    return request_body(request, "m", None, endpoint)


def test_openrouter_gets_what_the_model_supports_and_the_routing() -> None:
    info = known("temperature", "stop", "reasoning")

    kept, missing = left_out(PARAMETERS, ROUTING, info, OPENROUTER)

    assert kept == {
        "temperature": 0.2,
        "max_tokens": 500,
        "stop": ["END"],
        "reasoning": {"effort": "high", "exclude": True},
        "provider": {"order": ["acme"], "max_price": {"prompt": 0.5}, "zdr": True},
    }
    assert missing == ("top_k", "verbosity")


@pytest.mark.parametrize("info", [None, known()])
def test_a_model_that_tells_nothing_is_trusted_to_take_everything(info: ModelInfo | None) -> None:
    _, missing = left_out(PARAMETERS, ROUTING, info, OPENROUTER)

    assert missing == ()


def test_other_endpoints_get_what_openai_has_and_the_rest_is_named() -> None:
    kept, missing = left_out(PARAMETERS, ROUTING, None, STRICT)

    assert kept == {
        "temperature": 0.2,
        "max_tokens": 500,
        "stop": ["END"],
        "reasoning_effort": "high",
    }
    assert missing == ("top_k", "verbosity", "reasoning.exclude", "provider")


def test_settings_that_say_nothing_send_nothing() -> None:
    nothing = Parameters(reasoning=Reasoning()), ProviderRouting(max_price=MaxPrice())

    assert left_out(*nothing, None, OPENROUTER) == ({}, ())


def test_choices_about_tools_go_only_with_tools() -> None:
    choice = {"tool_choice": "required", "parallel_tool_calls": False}
    tool = {"type": "function", "function": {"name": "t"}}

    assert not set(choice) & set(body(STRICT, parameters=choice))
    assert set(choice) < set(body(STRICT, parameters=choice, tools=[tool]))


def test_openai_itself_has_another_name_for_the_most_tokens() -> None:
    openai = replace(STRICT, base_url="https://api.openai.com/v1")
    limit = {"max_tokens": 64}

    assert body(STRICT, parameters=limit)["max_tokens"] == 64
    sent = body(openai, parameters=limit)
    assert (sent.get("max_tokens"), sent["max_completion_tokens"]) == (None, 64)


@pytest.mark.parametrize(
    ("url", "speaks"),
    [
        ("https://openrouter.ai/api/v1", True),
        ("https://eu.openrouter.ai/api/v1", True),
        ("http://127.0.0.1:9100/api/v1", True),
        ("http://localhost:9100/api/v1/", True),
        ("https://openrouter.ai.example/api/v1", False),
        ("http://127.0.0.1:11434/v1", False),
        ("https://llm.example/api/v1", False),
    ],
)
def test_where_openrouters_own_fields_are_understood(url: str, speaks: bool) -> None:
    assert speaks_openrouter(url) is speaks
