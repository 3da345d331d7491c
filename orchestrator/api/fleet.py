"""The servers: how each stands, and changes of their list, which take effect at once."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import SecretStr

from orchestrator.api.authenticator import Principal
from orchestrator.api.deps import AggregatorDep, DocumentsDep, PrincipalDep, SettingsDep, VaultDep
from orchestrator.api.problems import problem_responses
from orchestrator.api.server_bodies import (
    ServerListBody,
    ServerPatch,
    ServerRules,
    configured,
    secret_of,
    without,
)
from orchestrator.api.server_views import (
    ServerDetail,
    ServerEntry,
    ServerList,
    server_detail,
    server_entry,
    server_list,
)
from orchestrator.store.vault import Vault

router = APIRouter(prefix="/api/mcp/servers", tags=["mcp"])

ServerId = Annotated[str, Path(examples=["weather"])]


@router.get("", responses=problem_responses())
async def list_servers(
    _principal: PrincipalDep, aggregator: AggregatorDep, documents: DocumentsDep
) -> ServerList:
    """List the servers with their states; never waits for one."""
    return await server_list(aggregator, documents.problems)


@router.put("", responses=problem_responses(409, 507))
async def replace_servers(
    body: ServerListBody,
    principal: PrincipalDep,
    aggregator: AggregatorDep,
    documents: DocumentsDep,
    settings: SettingsDep,
    vault: VaultDep,
) -> ServerList:
    """Replace the list of servers, all or nothing; calls in flight on those that leave may end."""
    rules = ServerRules(settings)
    rules.replaced(documents.current, body.servers)
    tokens = {server.id: server.token for server in body.servers if server.token is not None}
    async with _kept(vault, tokens, principal):
        await documents.change(lambda now: rules.replaced(now, body.servers))
    for server in body.servers:
        if server.token is not None:
            aggregator.reconnect(server.id)
    return await server_list(aggregator, documents.problems)


@router.post("/refresh", responses=problem_responses())
async def refresh_servers(
    _principal: PrincipalDep, aggregator: AggregatorDep, documents: DocumentsDep
) -> ServerList:
    """Connect to all servers anew and list their tools; answers when each answered or failed."""
    await aggregator.refresh()
    return await server_list(aggregator, documents.problems)


@router.get("/{server_id}", responses=problem_responses(404))
async def get_server(
    server_id: ServerId, _principal: PrincipalDep, aggregator: AggregatorDep
) -> ServerDetail:
    """Return one server with its tools; never waits for it."""
    return await server_detail(aggregator, server_id)


@router.patch("/{server_id}", responses=problem_responses(404, 507))
async def change_server(
    server_id: ServerId,
    body: ServerPatch,
    principal: PrincipalDep,
    aggregator: AggregatorDep,
    documents: DocumentsDep,
    settings: SettingsDep,
    vault: VaultDep,
) -> ServerEntry:
    """Change any field of a server but its id; switches of single tools are `disabled_tools`."""
    rules = ServerRules(settings)
    rules.patched(documents.current, server_id, body)
    tokens = {} if body.token is None else {server_id: body.token}
    async with _kept(vault, tokens, principal):
        await documents.change(lambda now: rules.patched(now, server_id, body))
    if body.token is not None:
        aggregator.reconnect(server_id)
    return await server_entry(aggregator, server_id)


@router.delete("/{server_id}", status_code=204, responses=problem_responses(404, 507))
async def remove_server(
    server_id: ServerId, principal: PrincipalDep, documents: DocumentsDep, vault: VaultDep
) -> Response:
    """Remove a server, and the token that was given for it; its calls in flight may end."""
    secret = secret_of(server_id)
    had_token = configured(documents.current, server_id).token_secret == secret
    after = await documents.change(lambda now: without(now, server_id))
    is_used = any(server.token_secret == secret for server in after.mcp_servers.servers)
    if had_token and not is_used and vault.secret(secret) is not None:
        await vault.remove(secret, actor=principal.actor)
    return Response(status_code=204)


@asynccontextmanager
async def _kept(
    vault: Vault, tokens: Mapping[str, SecretStr], principal: Principal
) -> AsyncGenerator[None]:
    """Keep tokens of servers by id; when the block fails, those from before are back."""
    before = {secret_of(server_id): vault.secret(secret_of(server_id)) for server_id in tokens}
    try:
        for server_id, token in tokens.items():
            await vault.put(secret_of(server_id), token.get_secret_value(), actor=principal.actor)
        yield
    except BaseException:
        for name, value in before.items():
            if value is not None:
                await vault.put(name, value, actor=principal.actor)
            elif vault.secret(name) is not None:
                await vault.remove(name, actor=principal.actor)
        raise
