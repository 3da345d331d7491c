"""The models to choose from, of every endpoint, with what else could be chosen."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.deps import ModelsDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.model_info import ModelInfo
from orchestrator.errors import ModelUnavailable, NotFound
from orchestrator.llm.endpoints import EndpointModels, ModelEndpoints
from orchestrator.llm.model_search import ModelFacets, ModelFilter, find_models
from orchestrator.store.paging import decode_cursor, encode_cursor

router = APIRouter(prefix="/api/models", tags=["models"])

_READ_AT = "2026-11-20T10:30:00Z"
_MODEL: dict[str, Any] = {
    "id": "anthropic/claude-sonnet-5",
    "endpoint": "openrouter",
    "name": "Anthropic: Claude Sonnet 5",
    "description": "A model for agents and code.",
    "context_length": 1_000_000,
    "max_completion_tokens": 64_000,
    "input_modalities": ["text", "image", "file"],
    "output_modalities": ["text"],
    "pricing": {"prompt": "3", "completion": "15", "input_cache_read": "0.3", "request": "0"},
    "supported_parameters": ["max_tokens", "reasoning", "tools"],
    "tools": True,
    "reasoning_efforts": ["high", "medium", "low"],
    "created": "2026-09-21T14:13:20Z",
    "expiration": None,
}
_SOURCE: dict[str, Any] = {
    "endpoint": "openrouter",
    "title": "OpenRouter",
    "count": 1,
    "read_at": _READ_AT,
    "stale": False,
    "problem": None,
}


class ModelSource(BaseModel):
    """The list of one endpoint."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SOURCE]})

    endpoint: str
    title: str
    count: int
    read_at: datetime | None
    """When the endpoint last gave it; null: never."""
    stale: bool
    problem: str | None
    """Why it gave none the last time it was asked."""


class ModelPage(BaseModel):
    """Models, from the last lists there are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [_MODEL],
                    "total": 1,
                    "next_cursor": None,
                    "facets": {
                        "modalities": [{"value": "text", "count": 1}],
                        "outputs": [{"value": "text", "count": 1}],
                        "endpoints": [{"value": "openrouter", "count": 1}],
                        "tools": {"yes": 1, "no": 0, "unknown": 0},
                        "price": {"min": "3", "max": "3"},
                        "context": {"min": 1_000_000, "max": 1_000_000},
                        "parameters": [{"value": "tools", "count": 1}],
                    },
                    "read_at": _READ_AT,
                    "stale": False,
                    "sources": [_SOURCE],
                }
            ]
        }
    )

    items: list[ModelInfo]
    total: int
    """How many pass the filters, on all pages."""
    next_cursor: str | None
    facets: ModelFacets
    read_at: datetime | None
    """When the oldest of the lists was read."""
    stale: bool
    """Whether one of them is older than an hour."""
    sources: list[ModelSource]


class ModelLists(BaseModel):
    """Where the models come from."""

    sources: list[ModelSource]


class ModelPageQuery(ModelFilter):
    """The filters, and which page."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str, Field(max_length=1000)] | None = None


@router.get("", responses=problem_responses(404, 502))
async def list_models(
    _principal: PrincipalDep,
    models: ModelsDep,
    query: Annotated[ModelPageQuery, Query()],
) -> ModelPage:
    """List models with filters and facets; from the last copy when an endpoint is away."""
    lists = await models.listed()
    _require_a_list(lists)
    _require_endpoints(query.endpoint, models)
    found = find_models((model for one in lists for model in one.models), query)
    start = _start(found.models, query.cursor)
    items = found.models[start : start + query.limit]
    end = start + len(items)
    read = [one.shelf.read_at for one in lists if one.shelf.read_at is not None]
    return ModelPage(
        items=items,
        total=len(found.models),
        next_cursor=encode_cursor(end, items[-1].id) if end < len(found.models) else None,
        facets=found.facets,
        read_at=min(read, default=None),
        stale=any(one.shelf.is_stale for one in lists if one.shelf.read_at is not None),
        sources=_sources(lists),
    )


@router.post("/refresh", responses=problem_responses(502))
async def refresh_models(_principal: PrincipalDep, models: ModelsDep) -> ModelLists:
    """Read the list of every endpoint now; fails when none of them answers."""
    lists = await models.refresh()
    if all(one.shelf.problem for one in lists):
        raise ModelUnavailable(" ".join(one.shelf.problem or "" for one in lists))
    return ModelLists(sources=_sources(lists))


@router.get(
    "/{model_id:path}",
    responses={200: {"content": {"application/json": {"example": _MODEL}}}}
    | problem_responses(404, 502),
)
async def get_model(
    model_id: Annotated[str, Path(max_length=300, examples=["anthropic/claude-sonnet-5"])],
    _principal: PrincipalDep,
    models: ModelsDep,
) -> ModelInfo:
    """Return what is known of one model; its id may be written with slashes."""
    lists = await models.listed()
    _require_a_list(lists)
    for one in lists:
        for model in one.models:
            if model.id == model_id:
                return model
    raise NotFound(f"There is no model {model_id!r} on the lists of the endpoints.")


def _require_a_list(lists: list[EndpointModels]) -> None:
    """Raise when nothing is known at all: an empty page would look like an answer."""
    if any(one.shelf.read_at for one in lists):
        return
    problems = " ".join(one.shelf.problem for one in lists if one.shelf.problem)
    raise ModelUnavailable(problems or "No endpoint has given its list of models yet. Try again.")


def _require_endpoints(wanted: list[str], models: ModelEndpoints) -> None:
    known = models.names()
    for name in wanted:
        if name not in known:
            raise NotFound(f"There is no endpoint {name!r}; there are: {', '.join(known)}.")


def _start(found: list[ModelInfo], cursor: str | None) -> int:
    """Return where a page begins, also when a list has changed since the page before."""
    if cursor is None:
        return 0
    position, last_id = decode_cursor(cursor, int, str)
    ids = [model.id for model in found]
    return ids.index(str(last_id)) + 1 if last_id in ids else max(int(position), 0)


def _sources(lists: list[EndpointModels]) -> list[ModelSource]:
    return [
        ModelSource(
            endpoint=one.endpoint.id,
            title=one.endpoint.name,
            count=len(one.models),
            read_at=one.shelf.read_at,
            stale=one.shelf.is_stale,
            problem=one.shelf.problem,
        )
        for one in lists
    ]
