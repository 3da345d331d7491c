"""Model endpoints beside OpenRouter, by name; their keys stay where they are."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from orchestrator.api.deps import DocumentsDep, PrincipalDep, VaultDep
from orchestrator.api.model_ids import models_in
from orchestrator.api.problems import invalid_field, problem_responses
from orchestrator.domain.model_settings import (
    MAX_ENDPOINTS,
    OPENROUTER,
    EndpointName,
    ModelEndpoint,
    ModelSettings,
)
from orchestrator.domain.values import Value
from orchestrator.environment import secret_variable
from orchestrator.errors import Conflict, NotFound
from orchestrator.settings import is_own_variable
from orchestrator.store.document_folder import Contents
from orchestrator.store.vault import Vault

router = APIRouter(prefix="/api/settings/endpoints", tags=["models"])

Name = Annotated[EndpointName, Path(examples=["ollama"])]
_OLLAMA: dict[str, Any] = {"title": "Ollama", "base_url": "http://127.0.0.1:11434/v1"}
_TOGETHER: dict[str, Any] = {
    "title": "Together",
    "base_url": "https://api.together.xyz/v1",
    "api_key_env": "TOGETHER_API_KEY",
    "prices": {"meta-llama/Llama-3.3-70B": {"prompt": "0.88", "completion": "0.88"}},
}


class NewEndpoint(ModelEndpoint):
    """Where an endpoint is, and where its key can be found."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TOGETHER]})


class NewEndpoints(Value):
    """All named endpoints."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"endpoints": {"ollama": _OLLAMA, "together": _TOGETHER}}]}
    )

    endpoints: Annotated[dict[EndpointName, ModelEndpoint], Field(max_length=MAX_ENDPOINTS)]


class Endpoint(ModelEndpoint):
    """An endpoint as it is configured."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_TOGETHER, "key_found": True}]})

    key_found: bool | None
    """Whether there is a key where it should be; null when the endpoint needs none."""


class Endpoints(Value):
    """The named endpoints: `ollama:qwen3:8b` is the model `qwen3:8b` at `ollama`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"endpoints": {"ollama": {**_OLLAMA, "key_found": None}}}]}
    )

    endpoints: dict[EndpointName, Endpoint]


@router.get("", responses=problem_responses())
async def get_endpoints(
    _principal: PrincipalDep, documents: DocumentsDep, vault: VaultDep
) -> Endpoints:
    """List the named endpoints, and whether their keys can be found; never a key."""
    named = documents.current.model_settings.endpoints
    return Endpoints(endpoints={name: _shown(named[name], vault) for name in named})


@router.put("", responses=problem_responses(409, 507))
async def replace_endpoints(
    body: NewEndpoints, principal: PrincipalDep, documents: DocumentsDep, vault: VaultDep
) -> Endpoints:
    """Replace all named endpoints; 409 when one that goes is in use."""
    for name, endpoint in body.endpoints.items():
        _refuse(documents.current, name, endpoint, "endpoints", name)
    await documents.change(lambda now: _with(now, body.endpoints))
    return await get_endpoints(principal, documents, vault)


@router.put("/{name}", responses=problem_responses(507))
async def put_endpoint(
    name: Name,
    body: NewEndpoint,
    _principal: PrincipalDep,
    documents: DocumentsDep,
    vault: VaultDep,
) -> Endpoint:
    """Add an endpoint, or replace the one of that name."""
    _refuse(documents.current, name, body)
    endpoint = ModelEndpoint.model_validate(body.model_dump())
    await documents.change(lambda now: _with(now, {**now.model_settings.endpoints, name: endpoint}))
    return _shown(endpoint, vault)


@router.delete("/{name}", status_code=204, responses=problem_responses(404, 409, 507))
async def delete_endpoint(
    name: Name, _principal: PrincipalDep, documents: DocumentsDep
) -> Response:
    """Forget an endpoint; 409 while the settings name one of its models."""
    await documents.change(lambda now: _without(now, name))
    return Response(status_code=204)


def _with(now: Contents, endpoints: dict[str, ModelEndpoint]) -> Contents:
    """Return the documents with these endpoints. Raises Conflict."""
    if len(endpoints) > MAX_ENDPOINTS:
        raise Conflict(f"There is room for {MAX_ENDPOINTS} endpoints. Delete one first.")
    settings = now.model_settings
    _refuse_to_lose(settings, settings.endpoints.keys() - endpoints.keys())
    return replace(now, model_settings=settings.model_copy(update={"endpoints": endpoints}))


def _without(now: Contents, name: str) -> Contents:
    endpoints = now.model_settings.endpoints
    if name not in endpoints:
        raise NotFound(f"There is no endpoint {name!r}.")
    return _with(now, {key: endpoints[key] for key in endpoints if key != name})


def _refuse_to_lose(settings: ModelSettings, names: Iterable[str]) -> None:
    for name in names:
        used = {model for _, model in models_in(settings) if model.startswith(f"{name}:")}
        if used:
            raise Conflict(
                f"The settings name models of {name!r}: {', '.join(sorted(used))}. "
                "Choose others first."
            )


def _refuse(now: Contents, name: str, endpoint: ModelEndpoint, *place: str) -> None:
    """Raise RequestValidationError for what would take over our own names or give away our keys."""
    if name == OPENROUTER:
        raise invalid_field(
            "openrouter is set by OPENROUTER_BASE_URL and OPENROUTER_API_KEY",
            *(place or ("name",)),
        )
    if endpoint.api_key_env is not None and is_own_variable(endpoint.api_key_env):
        raise invalid_field(
            "is a setting of Flotilla and never sent to another endpoint; put the key in a "
            "variable of its own, or in the vault",
            *place,
            "api_key_env",
        )
    for server in now.mcp_servers.servers:
        if endpoint.api_key_env is not None and endpoint.api_key_env == server.token_env:
            raise invalid_field(f"is the token of the server {server.id}", *place, "api_key_env")
    if (endpoint.api_key_secret or "").startswith("mcp."):
        raise invalid_field(
            "is the token of a server; keep the key under another name", *place, "api_key_secret"
        )


def _shown(endpoint: ModelEndpoint, vault: Vault) -> Endpoint:
    return Endpoint(**dict(endpoint), key_found=_key_found(endpoint, vault))


def _key_found(endpoint: ModelEndpoint, vault: Vault) -> bool | None:
    variable, secret = endpoint.api_key_env, endpoint.api_key_secret
    if variable is None and secret is None:
        return None
    by_variable = variable is not None and secret_variable(variable) is not None
    return by_variable or (secret is not None and vault.secret(secret) is not None)
