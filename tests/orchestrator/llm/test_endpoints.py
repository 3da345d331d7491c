"""Named endpoints beside OpenRouter: which answers, with which key, what it is sent and costs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.model_settings import ModelEndpoint, Parameters, Price, ProviderRouting
from orchestrator.errors import UnknownEndpoint
from orchestrator.llm.deltas import ModelSwitched, Usage
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.llm.model_ids import split_model_id
from orchestrator.llm.request import request_fields
from tests.fakes.compatible import KEY, FakeCompatible, hello, running_compatible
from tests.fakes.openrouter import API_KEY, SCRIPT_MODEL, FakeOpenRouter
from tests.fakes.openrouter_rounds import Drop, Round, text
from tests.fakes.openrouter_signal import Gate
from tests.fakes.openrouter_talk import ask, collect


@pytest.fixture(scope="module")
def together() -> Iterator[FakeCompatible]:
    with running_compatible("together") as fake:
        yield fake


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)


def config(fake: FakeCompatible, **more: Any) -> ModelEndpoint:
    return ModelEndpoint(
        **{"title": "Together", "base_url": fake.base_url, "api_key_env": "TOGETHER_API_KEY"} | more
    )


class House:
    """The endpoints of a process, and the settings that they follow."""

    def __init__(self, folder: Path, fake: FakeOpenRouter, named: dict[str, ModelEndpoint]) -> None:
        self.named = named
        self.secrets: dict[str, str] = {}
        self.llm = ModelEndpoints(
            fake.base_url,
            API_KEY,
            cache_dir=folder,
            named=lambda: self.named,
            secret=self.secrets.get,
            retry_delay_s=0.001,
        )


@pytest.fixture
async def house(
    tmp_path: Path, fake: FakeOpenRouter, together: FakeCompatible
) -> AsyncIterator[House]:
    together.forget_scripts()
    house = House(tmp_path, fake, {"together": config(together)})
    async with house.llm:
        yield house


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("author/model", ("openrouter", "author/model")),
        ("author/model:free", ("openrouter", "author/model:free")),
        ("openrouter:author/model:free", ("openrouter", "author/model:free")),
        ("ollama:qwen3:8b", ("ollama", "qwen3:8b")),
        ("together:meta-llama/Llama", ("together", "meta-llama/Llama")),
        ("plain", ("openrouter", "plain")),
    ],
)
def test_a_prefix_without_slash_chooses_the_endpoint(model: str, target: tuple[str, str]) -> None:
    assert split_model_id(model, {"ollama", "together"}) == target


@pytest.mark.parametrize("model", ["olama:qwen3:8b", "together:", ":x"])
def test_a_prefix_that_names_no_endpoint_says_which_there_are(model: str) -> None:
    with pytest.raises(UnknownEndpoint, match="There are: openrouter, ollama, together"):
        split_model_id(model, {"together", "ollama"})


async def test_a_named_endpoint_gets_openai_fields_only_and_its_own_key(
    house: House, together: FakeCompatible
) -> None:
    together.script(hello())
    past = {"role": "assistant", "content": "Hm.", "reasoning_details": [{"type": "x"}]}
    request = ask(
        f"together:{together.model}",
        messages=[{"role": "user", "content": "?"}, past, {"role": "user", "content": "!"}],
        session_id="ses_1",
        parameters={
            "temperature": 0.5,
            "top_k": 4,
            "max_tokens": 64,
            "tool_choice": "auto",
            "provider": {"sort": "price"},
            "reasoning": {"effort": "low", "exclude": True},
        },
    )

    _, completion, error = await collect(house.llm, request)

    assert error is None
    assert (completion.text, completion.model) == ("Hello.", f"together:{together.model}")
    received = together.received[-1]
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": together.model,
        "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": "Hm."},
            {"role": "user", "content": "!"},
        ],
        "temperature": 0.5,
        "max_tokens": 64,
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_without_a_price_nobody_knows_the_cost(
    house: House, together: FakeCompatible
) -> None:
    together.script(hello())

    _, completion, _ = await collect(house.llm, ask(f"together:{together.model}"))

    assert completion.usage == Usage(1_234_567, 7, is_priced=False)


async def test_the_owners_price_gives_the_cost_to_the_micro_dollar_rounded_half_up(
    house: House, together: FakeCompatible
) -> None:
    prices = {together.model: Price(prompt="0.88", completion="0.5")}  # type: ignore[arg-type]
    house.named = {"together": config(together, prices=prices)}
    together.script(hello())

    _, completion, _ = await collect(house.llm, ask(f"together:{together.model}"))

    assert completion.usage == Usage(1_234_567, 7, cost_microusd=1_086_422)  # 1,086,422.46


async def test_a_fallback_at_another_endpoint_answers_before_the_first_token(
    house: House, together: FakeCompatible, fake: FakeOpenRouter
) -> None:
    together.script(Round(status=400), Round(status=400))
    model = f"together:{together.model}"
    request = ask(model, fallback_models=("fake/text",), parameters={"top_k": 4})

    deltas, completion, error = await collect(house.llm, request)

    assert error is None
    assert deltas[0] == ModelSwitched("fake/text", deltas[0].reason)  # type: ignore[union-attr]
    assert "Together rejected the request" in deltas[0].reason  # type: ignore[union-attr]
    assert completion.model == "fake/text"
    assert completion.usage is not None
    assert completion.usage.cost_microusd == 120
    assert fake.received[-1].body["top_k"] == 4


async def test_no_other_endpoint_answers_after_the_first_token(
    house: House, together: FakeCompatible
) -> None:
    together.script(text("Half an ans", Drop()))
    request = ask(f"together:{together.model}", fallback_models=("fake/text",))

    _, completion, error = await collect(house.llm, request)

    assert completion.text == "Half an ans"
    assert error is not None
    assert "Together" in str(error)


async def test_a_refused_key_ends_only_the_tries_at_its_endpoint(
    house: House,
    together: FakeCompatible,
    fake: FakeOpenRouter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "sk-wrong")
    before = len(together.received)
    fallbacks = ("together:other", "fake/text")

    deltas, completion, error = await collect(
        house.llm, ask("together:one", fallback_models=fallbacks)
    )

    assert error is None
    assert completion.model == "fake/text"
    assert len(together.received) == before + 1
    assert "Check TOGETHER_API_KEY." in deltas[0].reason  # type: ignore[union-attr]
    assert "sk-wrong" not in deltas[0].reason  # type: ignore[union-attr]


async def test_a_key_that_is_not_set_is_asked_for_and_nothing_is_sent(
    house: House, together: FakeCompatible
) -> None:
    before = len(together.received)
    house.named = {
        "env": config(together, title="", api_key_env="NO_SUCH_KEY"),
        "vault": config(together, title="Vaulted", api_key_env=None, api_key_secret="together"),
        "ours": config(together, api_key_env="OPENROUTER_API_KEY"),
    }

    errors = [(await collect(house.llm, ask(f"{name}:m")))[2] for name in house.named]

    assert [str(error) for error in errors] == [
        "env has no key. Set NO_SUCH_KEY.",
        "Vaulted has no key. Set the secret 'together'.",
        (
            "OPENROUTER_API_KEY is a setting of Flotilla and not sent to Together. "
            "Put its key in a variable of its own, or in the vault."
        ),
    ]
    assert len(together.received) == before


async def test_the_key_may_be_in_the_vault(house: House, together: FakeCompatible) -> None:
    house.named = {"v": config(together, api_key_env=None, api_key_secret="together")}
    house.secrets["together"] = f"{KEY}\n"
    together.script(hello())

    _, completion, error = await collect(house.llm, ask(f"v:{together.model}"))

    assert (completion.text, error) == ("Hello.", None)


async def test_a_change_counts_from_the_next_request_on_and_running_streams_finish(
    house: House, together: FakeCompatible
) -> None:
    gate = Gate()
    together.script(text("Old ", gate, "and whole."))
    model = f"together:{together.model}"
    with running_compatible("vllm", api_key=None) as vllm:
        vllm.script(hello("New."), model=together.model)
        async with house.llm.stream(ask(model)) as stream:
            await anext(stream)
            house.named = {"together": config(vllm, api_key_env=None)}
            _, new, _ = await collect(house.llm, ask(model))
            gate.open()
            async for _ in stream:
                pass
    house.named = {}
    _, _, gone = await collect(house.llm, ask(model))

    assert (stream.completion.text, new.text) == ("Old and whole.", "New.")
    assert gone is not None
    assert gone.code == "unknown_endpoint"


async def test_of_a_model_at_an_endpoint_that_is_gone_nothing_is_known_and_a_fallback_answers(
    house: House,
) -> None:
    house.named = {}

    deltas, completion, error = await collect(
        house.llm, ask("together:m", fallback_models=("fake/text",))
    )

    assert await house.llm.info("together:m") is None
    assert await house.llm.takes_images("together:m") is True
    assert (completion.model, error) == ("fake/text", None)
    assert "There are: openrouter." in deltas[0].reason  # type: ignore[union-attr]


async def test_a_report_and_a_request_leave_out_the_same(
    house: House, together: FakeCompatible, fake: FakeOpenRouter
) -> None:
    parameters = Parameters(temperature=0.5, top_k=4, seed=7)
    fields = request_fields(parameters, ProviderRouting())
    models = (f"together:{together.model}", "fake/text")
    together.script(hello())
    await house.llm.refresh()

    for model in models:
        await collect(house.llm, ask(model, parameters=fields))

    sent = [set(fields) & set(other.received[-1].body) for other in (together, fake)]
    assert sent == [{"temperature", "seed"}, {"temperature"}]
    assert [await house.llm.left_out(m, parameters, ProviderRouting()) for m in models] == [
        ("top_k",),
        ("top_k", "seed"),
    ]


async def test_an_endpoint_that_is_away_is_named_with_its_setting(house: House) -> None:
    house.named = {"lan": ModelEndpoint(title="Attic", base_url="http://127.0.0.1:9/v1")}

    _, _, error = await collect(house.llm, ask("lan:m"))

    assert "Cannot connect to Attic at 127.0.0.1:9" in str(error)
    assert "Check the base_url of the endpoint 'lan'" in str(error)


async def test_what_a_generation_cost_is_asked_later(house: House, fake: FakeOpenRouter) -> None:
    tokens = {"native_tokens_prompt": 20, "native_tokens_completion": 9, "tokens_prompt": 18}
    more = {"native_tokens_reasoning": 3, "native_tokens_cached": 4, "total_cost": 0.0000125}
    fake.generations["gen-7"] = {**tokens, **more}
    fake.unknown_generations.add("gen-8")

    assert await house.llm.generation_cost(SCRIPT_MODEL, "gen-7") == Usage(20, 9, 3, 4, 13)
    fake.generations["gen-9"] = {"native_tokens_prompt": 2**63, "total_cost": 0.1}
    assert await house.llm.generation_cost(SCRIPT_MODEL, "gen-9") == Usage(
        10**12, cost_microusd=100_000
    )
    assert await house.llm.generation_cost(SCRIPT_MODEL, "gen-8") is None
    assert await house.llm.generation_cost("together:m", "cmpl-1") is None


async def test_a_check_says_of_each_endpoint_how_it_stands(
    house: House, fake: FakeOpenRouter, together: FakeCompatible, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fake.key, "limit", 5)
    monkeypatch.setitem(fake.key, "limit_remaining", 4.8984)
    host = fake.base_url.split("/")[2]
    house.named = {
        "together": config(together),
        "wrong": config(together, title="Wrong", api_key_env="WRONG_KEY"),
        "lan": ModelEndpoint(base_url="http://127.0.0.1:9/v1"),
    }
    monkeypatch.setenv("WRONG_KEY", "sk-wrong")

    checks = await house.llm.check()

    assert [(check.endpoint, check.is_good) for check in checks] == [
        ("openrouter", True),
        ("together", True),
        ("wrong", False),
        ("lan", False),
    ]
    assert checks[0].sentence == (
        f"OpenRouter at {host} accepts OPENROUTER_API_KEY; $4.90 of $5.00 left on the key."
    )
    place = together.base_url.split("/")[2]
    assert checks[1].sentence == f"Together at {place} answers and lists 1 model."
    assert "Wrong says the key is not valid. Check WRONG_KEY." in checks[2].sentence
    assert "127.0.0.1:9" in checks[3].sentence
