"""The catalogs of endpoints: read when asked for, kept on disk, believed for an hour."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.background import running
from orchestrator.domain.model_info import ModelInfo, ModelPricing
from orchestrator.domain.model_settings import ModelEndpoint, Price
from orchestrator.llm.catalog import CachedModels, ModelCatalog
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.llm.openrouter import OpenRouterClient
from tests.fakes.compatible import LISTINGS, running_compatible
from tests.fakes.openrouter import API_KEY, FakeOpenRouter, running_fake

WHOLE = {
    "id": "a/eyes",
    "canonical_slug": "a/eyes-1",
    "name": "A: Eyes",
    "created": 1_790_000_000,
    "description": "Sees. " * 1_000,
    "context_length": 200_000,
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "pricing": {
        "prompt": "0.00000015",
        "completion": "0.0000006",
        "request": "0",
        "image": "0.001",
        "input_cache_read": "0.000000075",
        "web_search": "0.01",
    },
    "top_provider": {"context_length": 200_000, "max_completion_tokens": 64_000},
    "supported_parameters": ["tools", "temperature", "reasoning"],
    "reasoning": {"supported_efforts": ["high", "low"], "default_effort": "low"},
    "expiration_date": "2027-01-31",
}


@pytest.fixture
def upstream() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        fake.listing = {
            "data": [
                WHOLE,
                {"id": "a/blind", "architecture": {"input_modalities": ["text"]}},
                {"id": "a/bare"},
            ]
        }
        yield fake


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def opened(
    folder: Path, fake: FakeOpenRouter, clock: Clock | None = None
) -> AsyncIterator[tuple[ModelCatalog, OpenRouterClient]]:
    async with OpenRouterClient(fake.base_url, API_KEY) as client:
        catalog = ModelCatalog(lambda: [client.endpoint], client.models, folder, clock or Clock())
        async with running(catalog.keep_fresh()):
            yield catalog, client


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("a/eyes", True),
        ("a/eyes:free", True),
        ("a/blind", False),
        ("a/blind:online", False),
        ("a/bare", True),
        ("b/unknown", True),
    ],
)
async def test_only_a_list_that_says_so_keeps_pictures_from_a_model(
    tmp_path: Path, upstream: FakeOpenRouter, model: str, takes: bool
) -> None:
    async with opened(tmp_path, upstream) as (catalog, client):
        assert await catalog.takes_images(model, client.endpoint) is takes


async def test_everything_openrouter_tells_is_kept(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    async with opened(tmp_path, upstream) as (catalog, client):
        await catalog.refresh()
        info = await catalog.known("a/eyes", client.endpoint)

    assert info is not None
    assert len(info.description) == 2_000
    assert info.model_dump(mode="json", exclude={"description"}) == {
        "id": "a/eyes",
        "endpoint": "openrouter",
        "name": "A: Eyes",
        "context_length": 200_000,
        "max_completion_tokens": 64_000,
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "pricing": {
            "prompt": "0.15",
            "completion": "0.6",
            "input_cache_read": "0.075",
            "input_cache_write": None,
            "internal_reasoning": None,
            "request": "0",
            "image": "0.001",
        },
        "supported_parameters": ["tools", "temperature", "reasoning"],
        "tools": True,
        "reasoning_efforts": ["high", "low"],
        "created": "2026-09-21T14:13:20Z",
        "expiration": "2027-01-31",
    }


async def test_an_entry_that_makes_no_sense_costs_only_itself_or_its_field(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    odd: dict[str, Any] = {
        "id": "a/odd",
        "name": 7,
        "context_length": "many",
        "created": "soon",
        "pricing": {"prompt": "-1", "completion": "cheap", "request": True, "image": "NaN"},
        "supported_parameters": [1, "tools", "x" * 1_000],
        "architecture": [],
        "top_provider": None,
    }
    upstream.listing = {"data": ["?", {}, {"id": ""}, {"id": 5}, {"id": "x" * 999}, odd]}

    async with opened(tmp_path, upstream) as (catalog, _):
        shelf = (await catalog.refresh())["openrouter"]

    assert list(shelf.models.values()) == [
        ModelInfo(
            id="a/odd",
            endpoint="openrouter",
            name="7",
            supported_parameters=("tools",),
            tools=True,
        )
    ]


async def test_a_list_is_good_for_an_hour(tmp_path: Path, upstream: FakeOpenRouter) -> None:
    clock = Clock()
    async with opened(tmp_path, upstream, clock) as (catalog, client):
        for clock.now_s in (0, 1, 3_599):
            assert await catalog.takes_images("a/blind", client.endpoint) is False
        assert upstream.listed == 1
        clock.now_s = 3_600
        assert await catalog.takes_images("a/blind", client.endpoint) is False
        await upstream.listed_times(2)


async def test_an_endpoint_that_is_away_is_asked_again_after_a_minute(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    clock = Clock()
    upstream.is_away = True
    async with opened(tmp_path, upstream, clock) as (catalog, client):
        assert await catalog.takes_images("a/blind", client.endpoint) is True
        assert await catalog.takes_images("a/blind", client.endpoint) is True
        assert upstream.listed == 1
        assert "503" in ((await catalog.shelves())["openrouter"].problem or "")
        upstream.is_away, clock.now_s = False, 60
        await catalog.shelves()
        await upstream.listed_times(2)


async def test_the_last_list_is_used_offline_and_says_how_old_it_is(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    async with opened(tmp_path, upstream) as (catalog, _):
        await catalog.refresh()
    upstream.is_away = True
    file = tmp_path / "openrouter.json"
    async with opened(tmp_path, upstream) as (catalog, _):
        fresh = (await catalog.shelves())["openrouter"]
        assert (len(fresh.models), fresh.is_stale, upstream.listed) == (3, False, 1)
    old = json.loads(file.read_text()) | {"read_at": "2026-01-01T00:00:00Z"}
    file.write_text(json.dumps(old))
    async with opened(tmp_path, upstream) as (catalog, client):
        shelf = (await catalog.shelves())["openrouter"]
        assert (len(shelf.models), shelf.is_stale) == (3, True)
        assert await catalog.takes_images("a/blind", client.endpoint) is False
        await upstream.listed_times(2)
        assert len((await catalog.shelves())["openrouter"].models) == 3


async def test_a_list_of_another_address_and_a_broken_file_are_not_believed(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    upstream.is_away = True
    file = tmp_path / "openrouter.json"
    stored = CachedModels(
        base_url="http://elsewhere.example/v1",
        models=(ModelInfo(id="a/old", endpoint="openrouter", name="Old"),),
    )
    for content in (stored.model_dump_json(), "{"):
        file.write_text(content)
        async with opened(tmp_path, upstream) as (catalog, _):
            assert (await catalog.shelves())["openrouter"].models == {}


async def test_the_first_question_waits_three_seconds_at_most(
    tmp_path: Path, upstream: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelCatalog, "PATIENCE_S", 0.05)

    async def never(_endpoint: object) -> list[ModelInfo]:
        await asyncio.Event().wait()
        raise AssertionError

    async with OpenRouterClient(upstream.base_url, API_KEY) as client:
        catalog = ModelCatalog(lambda: [client.endpoint], never, tmp_path)
        async with running(catalog.keep_fresh()):
            assert await catalog.takes_images("a/blind", client.endpoint) is True
            assert (await catalog.shelves())["openrouter"].models == {}


@pytest.mark.parametrize("kind", LISTINGS)
async def test_the_lists_of_other_makers_are_read(
    tmp_path: Path, upstream: FakeOpenRouter, kind: str
) -> None:
    expected = {
        "together": {
            "name": "Meta Llama 3.3 70B Instruct Turbo",
            "context_length": 131_072,
            "pricing": ModelPricing(prompt=Decimal("0.88"), completion=Decimal("0.88")),
        },
        "ollama": {"name": "qwen3:8b"},
        "vllm": {"name": "NousResearch/Meta-Llama-3-8B-Instruct", "context_length": 8192},
        "anthropic": {"name": "Claude Sonnet 4.5"},
    }[kind]
    with running_compatible(kind, api_key=None) as fake:
        named = {"their": ModelEndpoint(base_url=fake.base_url)}
        async with ModelEndpoints(
            upstream.base_url, API_KEY, cache_dir=tmp_path, named=lambda: named
        ) as llm:
            await llm.refresh()
            info = await llm.info(f"their:{fake.model}")

    assert info is not None
    assert (info.id, info.endpoint) == (f"their:{fake.model}", "their")
    assert info.tools is None
    assert {name: getattr(info, name) for name in expected} == expected


async def test_the_owners_price_counts_also_for_a_model_that_is_not_listed(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    price = Price(prompt=Decimal("0.1"), completion=Decimal(2))
    with running_compatible("together", api_key=None) as fake:
        endpoint = ModelEndpoint(
            base_url=fake.base_url, prices={fake.model: price, "mine/tuned": price}
        )
        async with ModelEndpoints(
            upstream.base_url, API_KEY, cache_dir=tmp_path, named=lambda: {"t": endpoint}
        ) as llm:
            await llm.refresh()
            infos = [await llm.info(f"t:{name}") for name in (fake.model, "mine/tuned", "x")]

    assert [info and info.pricing for info in infos] == [
        ModelPricing(prompt=price.prompt, completion=price.completion),
        ModelPricing(prompt=price.prompt, completion=price.completion),
        None,
    ]
