"""Filters, facets and order of models."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.domain.model_info import ModelInfo, ModelPricing
from orchestrator.llm.model_search import (
    ContextRange,
    ModelFilter,
    PriceRange,
    ToolCounts,
    ValueCount,
    find_models,
)


def model(name: str, price: str | None, **fields: Any) -> ModelInfo:
    pricing = ModelPricing(prompt=price and Decimal(price), completion=price and Decimal(price))  # type: ignore[arg-type]
    given = {"id": name, "endpoint": "openrouter", "name": name.title(), "pricing": pricing}
    return ModelInfo(**given | fields)


MODELS = [
    model(
        "acme/large",
        "3",
        description="Writes code.",
        context_length=200_000,
        input_modalities=("text", "image"),
        output_modalities=("text",),
        supported_parameters=("tools", "top_k"),
        tools=True,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    ),
    model(
        "acme/small",
        "0.15",
        context_length=8_000,
        input_modalities=("text",),
        output_modalities=("text",),
        supported_parameters=("top_k",),
        tools=False,
        created=datetime(2026, 9, 1, tzinfo=UTC),
    ),
    model("zoo/free:free", "0", context_length=32_000, input_modalities=("text",)),
    model("home:qwen3", None, endpoint="home"),
]


def found(**wanted: Any) -> list[str]:
    return [m.id for m in find_models(MODELS, ModelFilter(**wanted)).models]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, ["acme/large", "acme/small", "home:qwen3", "zoo/free:free"]),
        ({"q": "ACME code"}, ["acme/large"]),
        ({"q": "acme nowhere"}, []),
        ({"endpoint": ["home"]}, ["home:qwen3"]),
        ({"modality": ["text", "image"]}, ["acme/large"]),
        ({"output": ["text"]}, ["acme/large", "acme/small"]),
        ({"tools": True}, ["acme/large"]),
        ({"tools": False}, ["acme/small"]),
        ({"free": True}, ["zoo/free:free"]),
        ({"free": False}, ["acme/large", "acme/small", "home:qwen3"]),
        ({"max_price": "0.15"}, ["acme/small", "zoo/free:free"]),
        ({"min_context": 32_000}, ["acme/large", "zoo/free:free"]),
        ({"parameter": ["top_k", "tools"]}, ["acme/large"]),
        ({"parameter": ["top_k"], "max_price": 1}, ["acme/small"]),
        ({"sort": "price"}, ["zoo/free:free", "acme/small", "acme/large", "home:qwen3"]),
        ({"sort": "context"}, ["acme/large", "zoo/free:free", "acme/small", "home:qwen3"]),
        ({"sort": "newest"}, ["acme/small", "acme/large", "home:qwen3", "zoo/free:free"]),
    ],
)
def test_filters_and_order(wanted: dict[str, Any], ids: list[str]) -> None:
    assert found(**wanted) == ids


def test_a_facet_counts_what_its_own_filter_would_leave_and_not_what_it_left() -> None:
    wanted = ModelFilter(q="acme", tools=True, max_price=Decimal(1), endpoint=["openrouter"])

    result = find_models(MODELS, wanted)

    assert result.models == []
    facets = result.facets
    assert facets.tools == ToolCounts(yes=0, no=1, unknown=0)
    assert facets.price == PriceRange(min=Decimal(3), max=Decimal(3))
    assert (facets.endpoints, facets.context) == ([], ContextRange())


def test_facets_of_everything() -> None:
    facets = find_models(MODELS, ModelFilter()).facets

    assert facets.modalities == [
        ValueCount(value="text", count=3),
        ValueCount(value="image", count=1),
    ]
    assert facets.endpoints == [
        ValueCount(value="openrouter", count=3),
        ValueCount(value="home", count=1),
    ]
    assert facets.parameters == [
        ValueCount(value="top_k", count=2),
        ValueCount(value="tools", count=1),
    ]
    assert facets.tools == ToolCounts(yes=1, no=1, unknown=2)
    assert facets.price == PriceRange(min=Decimal(0), max=Decimal(3))
    assert facets.context == ContextRange(min=8_000, max=200_000)


def test_a_filter_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="modalities"):
        ModelFilter(modalities=["image"])  # type: ignore[call-arg]
