"""The model that answers and how it is asked: read, replace, change."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.deps import ChatDep, DocumentsDep, ModelsDep, PrincipalDep, SettingsDep
from orchestrator.api.model_ids import refuse_unknown_endpoints
from orchestrator.api.problems import problem_responses
from orchestrator.domain.model_settings import (
    ModelChoice,
    ModelId,
    ModelSettings,
    Parameters,
    ProviderRouting,
    RoleModels,
)
from orchestrator.domain.times import to_rfc3339
from orchestrator.domain.values import Value
from orchestrator.errors import UnknownEndpoint
from orchestrator.settings import variable_of
from orchestrator.store.document_folder import Contents
from orchestrator.store.in_force import (
    FIELDS_OF_VARIABLES,
    PRACTICE_MODEL,
    InForce,
    LayerName,
    in_force,
)

router = APIRouter(prefix="/api/settings", tags=["models"])

_CHOSEN = ("model", "fallback_models", "parameters", "provider", "roles")
_EXAMPLE: dict[str, Any] = {
    "model": "anthropic/claude-sonnet-4.5",
    "fallback_models": ["openai/gpt-5-mini", "ollama:qwen3:8b"],
    "parameters": {"temperature": 0.3, "max_tokens": 8000, "reasoning": {"effort": "low"}},
    "provider": {"sort": "price", "data_collection": "deny", "max_price": {"completion": "15"}},
    "roles": {"title": "google/gemini-2.5-flash-lite"},
}


class ModelSettingsInForce(BaseModel):
    """What a turn uses that says nothing itself, in a session that says nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE,
                    "overridden": {"model": "OPENROUTER_DEFAULT_MODEL in the environment"},
                    "layers": {"model": "environment", "provider.sort": "data/model_settings.json"},
                    "unsupported": ["reasoning"],
                    "practice": False,
                    "updated_at": "2026-11-20T10:30:00.123Z",
                }
            ]
        }
    )

    model: str
    fallback_models: list[str]
    parameters: Parameters
    provider: ProviderRouting
    roles: RoleModels
    overridden: dict[str, str]
    """Values of the document that do not count, and what beats them."""
    layers: dict[str, LayerName]
    """Who says it, for each setting that is not built in: `parameters.temperature` and so on."""
    unsupported: list[str]
    """Settings that the model does not take, in dots: they are not sent."""
    practice: bool
    """True when the practice model answers, because no API key is set."""
    updated_at: str | None
    """When the document was written last; null while there is none."""


class NewModelSettings(ModelChoice):
    """All of it: what is left out goes back to its default."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    roles: RoleModels = RoleModels()


class ModelSettingsChange(Value):
    """The fields that change, those of groups too; null goes back to the default."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "openai/gpt-5-mini", "parameters": {"temperature": None}}]
        }
    )

    model: ModelId | None = None
    fallback_models: Annotated[tuple[ModelId, ...], Field(max_length=8)] | None = None
    parameters: Parameters | None = None
    provider: ProviderRouting | None = None
    roles: RoleModels | None = None


class NewSystemPrompt(Value):
    """The owner's own text; null or a blank one is the text that is built in."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"system_prompt": "Answer in Portuguese, briefly."}]}
    )

    system_prompt: Annotated[str, Field(max_length=50_000)] | None


class SystemPrompt(BaseModel):
    """The owner's text at the head of every system prompt."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"system_prompt": "Answer in Portuguese, briefly.", "overridden": {}}]
        }
    )

    system_prompt: str | None
    """Null: the text that is built in."""
    overridden: dict[str, str]
    """What beats the text of the document, if anything does."""


@router.get("/model", responses=problem_responses())
async def get_model_settings(
    _principal: PrincipalDep,
    chat: ChatDep,
    models: ModelsDep,
    documents: DocumentsDep,
    settings: SettingsDep,
) -> ModelSettingsInForce:
    """Return the model settings in force, and which layer they come from."""
    found = in_force(chat.settings.model_layers())
    unsupported: tuple[str, ...] = ()
    with suppress(UnknownEndpoint):  # Edited by hand: turns say it, here it can be mended.
        unsupported = await models.left_out(found.model, found.parameters, found.provider)
    return ModelSettingsInForce(
        model=found.model,
        fallback_models=list(found.fallback_models),
        parameters=found.parameters,
        provider=found.provider,
        roles=found.roles,
        overridden=_overridden(found, documents.current.model_settings, "model", "fallback_models"),
        layers={key: layer for key, layer in found.layers.items() if key != "system_prompt"},
        unsupported=list(unsupported),
        practice=found.model == PRACTICE_MODEL,
        updated_at=_updated_at(settings.data_dir / "model_settings.json"),
    )


@router.put("/model", responses=problem_responses(507))
async def replace_model_settings(
    body: NewModelSettings,
    principal: PrincipalDep,
    chat: ChatDep,
    models: ModelsDep,
    documents: DocumentsDep,
    settings: SettingsDep,
) -> ModelSettingsInForce:
    """Replace the model settings: the next turn uses them where no environment beats them."""
    chosen = {name: getattr(body, name) for name in _CHOSEN}
    await documents.change(partial(_with, body, chosen))
    return await get_model_settings(principal, chat, models, documents, settings)


@router.patch("/model", responses=problem_responses(507))
async def change_model_settings(
    body: ModelSettingsChange,
    principal: PrincipalDep,
    chat: ChatDep,
    models: ModelsDep,
    documents: DocumentsDep,
    settings: SettingsDep,
) -> ModelSettingsInForce:
    """Change the named settings, also within a group; null takes one back to its default."""
    await documents.change(lambda now: _with(body, _changed(now.model_settings, body), now))
    return await get_model_settings(principal, chat, models, documents, settings)


@router.get("/system-prompt", responses=problem_responses())
async def get_system_prompt(
    _principal: PrincipalDep, chat: ChatDep, documents: DocumentsDep
) -> SystemPrompt:
    """Return the owner's system prompt in force."""
    found = in_force(chat.settings.model_layers())
    return SystemPrompt(
        system_prompt=found.system_prompt,
        overridden=_overridden(found, documents.current.model_settings, "system_prompt"),
    )


@router.put("/system-prompt", responses=problem_responses(507))
async def replace_system_prompt(
    body: NewSystemPrompt, principal: PrincipalDep, chat: ChatDep, documents: DocumentsDep
) -> SystemPrompt:
    """Replace the owner's system prompt; the next turn uses it."""
    text = body.system_prompt if (body.system_prompt or "").strip() else None
    await documents.change(lambda now: _with(body, {"system_prompt": text}, now))
    return await get_system_prompt(principal, chat, documents)


def _with(body: Value, chosen: Mapping[str, Any], now: Contents) -> Contents:
    """Return the documents with what `body` asks for. Raises RequestValidationError."""
    refuse_unknown_endpoints(body, now.model_settings.endpoints)
    return replace(now, model_settings=now.model_settings.model_copy(update=chosen))


def _changed(now: ModelSettings, change: ModelSettingsChange) -> dict[str, Any]:
    """Return the fields as they shall be; a group keeps what `change` does not name in it."""
    changed: dict[str, Any] = {}
    for name in change.model_fields_set:
        value = getattr(change, name)
        if value is None:
            value = ModelSettings.model_fields[name].default
        elif isinstance(value, Value):
            named = {field: getattr(value, field) for field in value.model_fields_set}
            value = getattr(now, name).model_copy(update=named)
        changed[name] = value
    return changed


def _overridden(found: InForce, document: ModelSettings, *keys: str) -> dict[str, str]:
    places: dict[LayerName | None, str] = {"environment": "the environment", ".env": ".env"}
    return {
        key: f"{variable_of(FIELDS_OF_VARIABLES[key])} in {place}"
        for key in keys
        if (place := places.get(found.layers.get(key))) and getattr(document, key) is not None
    }


def _updated_at(path: Path) -> str | None:
    try:
        return to_rfc3339(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    except FileNotFoundError:
        return None
