"""Checks of the places that models are asked at: they answer, and take the key."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from orchestrator.cli.doctor.finding import Finding, ok, problem, warn
from orchestrator.domain.model_settings import OPENROUTER, ModelSettings
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.settings import Settings
from orchestrator.store.in_force import is_practising

TIMEOUT_S = 6.0
_EDIT_ENV = "$EDITOR .env"


def model_endpoints(
    settings: Settings, chosen: ModelSettings, secret: Callable[[str], str | None]
) -> list[Finding]:
    """Ask OpenRouter and every endpoint of the owner, all at once; none of them a model."""
    return asyncio.run(_ask_all(settings, chosen, secret))


async def _ask_all(
    settings: Settings, chosen: ModelSettings, secret: Callable[[str], str | None]
) -> list[Finding]:
    endpoints = ModelEndpoints(
        settings.openrouter_base_url,
        settings.openrouter_api_key,
        cache_dir=settings.data_dir / "cache" / "models",
        named=lambda: chosen.endpoints,
        secret=secret,
    )
    document = settings.data_dir.absolute() / "model_settings.json"
    async with endpoints, asyncio.TaskGroup() as group:
        asked = [
            group.create_task(_ask(endpoints, name, document))
            for name in endpoints.names()
            if name != OPENROUTER or not is_practising(settings)
        ]
    practice = [_practice()] if is_practising(settings) else []
    return [*practice, *(task.result() for task in asked)]


async def _ask(endpoints: ModelEndpoints, name: str, document: Path) -> Finding:
    subject = f"model {name}"
    remedy = _EDIT_ENV if name == OPENROUTER else f"$EDITOR {document}"
    try:
        async with asyncio.timeout(TIMEOUT_S):
            check = await endpoints.check_one(name)
    except TimeoutError:
        return problem(subject, f"It did not answer within {TIMEOUT_S:.0f} s.", remedy)
    return (
        ok(subject, check.sentence) if check.is_good else problem(subject, check.sentence, remedy)
    )


def _practice() -> Finding:
    sentence = "No key is set: the practice model answers. OPENROUTER_API_KEY brings a real one."
    return warn(f"model {OPENROUTER}", sentence, f"{_EDIT_ENV}  # .env.example shows how")
