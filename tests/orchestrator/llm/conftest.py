"""A fake OpenRouter and a client for it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from orchestrator.llm.openrouter import OpenRouterClient
from tests.fakes.openrouter import API_KEY, FakeOpenRouter, running_fake


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenRouter]:
    with running_fake() as running:
        yield running


@pytest.fixture
async def client(fake: FakeOpenRouter) -> AsyncIterator[OpenRouterClient]:
    async with OpenRouterClient(fake.base_url, API_KEY, retry_delay_s=0.01) as opened:
        yield opened
