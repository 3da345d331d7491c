"""The vault: keys of model endpoints and tokens of servers; what goes in never comes out."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from orchestrator.api.deps import AggregatorDep, DocumentsDep, PrincipalDep, VaultDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.servers import NAME_OF_SECRET
from orchestrator.errors import Conflict
from orchestrator.store.document_folder import Contents

router = APIRouter(prefix="/api/secrets", tags=["settings"])

Name = Annotated[str, Path(pattern=NAME_OF_SECRET, examples=["mcp.weather"])]


class SecretEntry(BaseModel):
    """What may be told of a secret."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "mcp.weather",
                    "updated_at": "2026-11-20T10:30:00.123Z",
                    "readable": True,
                    "used_by": ["server weather"],
                }
            ]
        }
    )

    name: str
    updated_at: str
    readable: bool
    """False when the key of the vault is gone: the secret must be given again."""
    used_by: list[str]


class SecretList(BaseModel):
    """The stored secrets, by name; never their values."""

    items: list[SecretEntry]


class NewSecret(BaseModel):
    """The value to keep."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": "..."}]})

    value: SecretStr = Field(min_length=1, max_length=8192)

    @field_validator("value")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces")
        return value


@router.get("", responses=problem_responses())
async def list_secrets(
    _principal: PrincipalDep, vault: VaultDep, documents: DocumentsDep
) -> SecretList:
    """List the names of the stored secrets and what uses them; values are never shown."""
    return SecretList(
        items=[
            SecretEntry(
                name=secret.name,
                updated_at=secret.updated_at,
                readable=secret.is_readable,
                used_by=_users(documents.current, secret.name),
            )
            for secret in await vault.listed()
        ]
    )


@router.put("/{name}", status_code=204, responses=problem_responses(507))
async def put_secret(
    name: Name,
    body: NewSecret,
    principal: PrincipalDep,
    vault: VaultDep,
    aggregator: AggregatorDep,
    documents: DocumentsDep,
) -> Response:
    """Keep a secret, in place of an earlier one of that name; servers that use it connect anew."""
    await vault.put(name, body.value.get_secret_value(), actor=principal.actor)
    for server in documents.current.mcp_servers.servers:
        if server.token_secret == name:
            aggregator.reconnect(server.id)
    return Response(status_code=204)


@router.delete("/{name}", status_code=204, responses=problem_responses(404, 409, 507))
async def delete_secret(
    name: Name, principal: PrincipalDep, vault: VaultDep, documents: DocumentsDep
) -> Response:
    """Forget a secret; 409 while a server or an endpoint uses it."""
    if users := _users(documents.current, name):
        raise Conflict(f"The secret {name!r} is used by {', '.join(users)}. Change that first.")
    await vault.remove(name, actor=principal.actor)
    return Response(status_code=204)


def _users(now: Contents, name: str) -> list[str]:
    servers = now.mcp_servers.servers
    endpoints = now.model_settings.endpoints.items()
    return [
        *(f"server {server.id}" for server in servers if server.token_secret == name),
        *(f"endpoint {key}" for key, endpoint in endpoints if endpoint.api_key_secret == name),
    ]
