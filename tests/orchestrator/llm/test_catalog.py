"""Which models take pictures, as far as the list of their endpoint says."""

import pytest

from orchestrator.errors import ModelUnavailable
from orchestrator.llm.catalog import Architecture, ModelCatalog, ModelInfo


class Upstream:
    """A list of models that can be away, and a clock."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False
        self.now_s = 0.0
        self.models = [
            ModelInfo("a/eyes", architecture=Architecture(["text", "image"])),
            ModelInfo("a/blind", architecture=Architecture(["text"])),
            ModelInfo("a/bare"),
        ]

    async def fetch(self) -> list[ModelInfo]:
        self.asked += 1
        if self.is_away:
            raise ModelUnavailable("away")
        return self.models

    def clock(self) -> float:
        return self.now_s


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def catalog(upstream: Upstream) -> ModelCatalog:
    return ModelCatalog(upstream.fetch, upstream.clock)


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
    catalog: ModelCatalog, model: str, takes: bool
) -> None:
    assert await catalog.takes_images(model) is takes


async def test_the_list_is_read_once_an_hour(catalog: ModelCatalog, upstream: Upstream) -> None:
    for moment_s in (0, 1, 3_599, 3_600):
        upstream.now_s = moment_s
        await catalog.takes_images("a/blind")
    assert upstream.asked == 2


async def test_an_endpoint_that_is_away_keeps_what_is_known(
    catalog: ModelCatalog, upstream: Upstream
) -> None:
    upstream.is_away = True
    assert await catalog.takes_images("a/blind") is True
    assert await catalog.takes_images("a/blind") is True
    assert upstream.asked == 1
    upstream.is_away, upstream.now_s = False, 60
    assert await catalog.takes_images("a/blind") is False
    upstream.is_away, upstream.now_s = True, 4_000
    assert await catalog.takes_images("a/blind") is False
