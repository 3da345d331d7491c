"""Servers of the fleet for other MCP clients: what they need, and the tokens they have."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from orchestrator.api.authenticator import Principal
from orchestrator.api.deps import DatabaseDep, DocumentsDep, PrincipalDep, SettingsDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.client_configs import (
    PLACES,
    TITLES,
    TOKEN_HERE,
    ClientName,
    ClientScope,
    HttpServer,
    client_config,
)
from orchestrator.domain.servers import ServerConfig, ServersDocument
from orchestrator.errors import Conflict, NotFound
from orchestrator.store import audit
from orchestrator.store.client_tokens import ClientToken, ClientTokens, Minted

router = APIRouter(prefix="/api/mcp", tags=["mcp"])

Client = Annotated[ClientName, Path(examples=["claude-desktop"])]
ConnectionId = Annotated[str, Path(examples=["ctok_01a1fa0a8220b3828f07ae22de"])]
_EXAMPLE_ENTRY: dict[str, Any] = {
    "type": "http",
    "url": "http://127.0.0.1:9101/mcp",
    "headers": {"Authorization": f"Bearer {TOKEN_HERE}"},
}
_EXAMPLE_CONNECTION: dict[str, Any] = {
    "id": "ctok_01a1fa0a8220b3828f07ae22de",
    "server": "calculator",
    "name": "Claude Code",
    "scope": "read",
    "created_at": "2026-11-20T10:30:00.123Z",
}


_EXAMPLE_SNIPPET: dict[str, Any] = {
    "client": "claude-code",
    "title": "Claude Code",
    "place": PLACES["claude-code"],
    "scope": "read",
    "config": {"mcpServers": {"flotilla-calculator": _EXAMPLE_ENTRY}},
}


class ClientConnection(BaseModel):
    """One token that a client has for one server; its text is known to the client only."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_CONNECTION]})

    id: str
    server: str
    name: str
    scope: ClientScope
    created_at: str


class ConnectionList(BaseModel):
    """The tokens in force, by server."""

    items: list[ClientConnection]


class ClientSnippet(BaseModel):
    """What a client needs to use servers of the fleet."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_SNIPPET]})

    client: ClientName
    title: str
    place: str
    """Where the configuration belongs."""
    scope: ClientScope
    config: dict[str, Any]
    """As the client's own file wants it; `TOKEN` stands where a token will be."""


class ConnectedClient(ClientSnippet):
    """The same with new tokens in it; nobody can see them again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_EXAMPLE_SNIPPET, "connections": [_EXAMPLE_CONNECTION]}]}
    )

    connections: list[ClientConnection]


class NewConnection(BaseModel):
    """Which servers a client may use, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"servers": ["calculator"], "scope": "read"}]},
    )

    servers: Annotated[list[str], Field(min_length=1, max_length=100)]
    scope: ClientScope = "read"


@router.get("/connect/{client}", responses=problem_responses(404, 409))
async def get_client_snippet(
    client: Client,
    _principal: PrincipalDep,
    documents: DocumentsDep,
    server: Annotated[list[str] | None, Query(examples=[["calculator"]])] = None,
    scope: ClientScope = "read",
) -> ClientSnippet:
    """Return what a client needs, without tokens; by default for all servers switched on."""
    now = documents.current.mcp_servers
    names = server or [one.id for one in now.servers if one.enabled and one.trust == "fleet"]
    servers = [HttpServer(one.id, one.url) for one in _fleet(now, names)]
    return ClientSnippet(**_snippet(client, scope, servers))


@router.post("/connect/{client}", status_code=201, responses=problem_responses(404, 409, 507))
async def connect_client(
    client: Client,
    body: NewConnection,
    principal: PrincipalDep,
    documents: DocumentsDep,
    database: DatabaseDep,
    settings: SettingsDep,
) -> ConnectedClient:
    """Make a token for each server and return what the client needs; tokens are shown this once."""
    urls = {one.id: one.url for one in _fleet(documents.current.mcp_servers, body.servers)}
    tokens = ClientTokens(settings.data_dir)
    minted = await asyncio.to_thread(tokens.mint, urls, name=TITLES[client], scope=body.scope)
    try:
        await database.write(_note_connected, principal, minted)
    except BaseException:
        for made in minted:
            await asyncio.to_thread(tokens.revoke, made.token.id)
        raise
    servers = [HttpServer(made.server, urls[made.server], made.text) for made in minted]
    return ConnectedClient(
        **_snippet(client, body.scope, servers),
        connections=[_connection(made.server, made.token) for made in minted],
    )


@router.get("/connections", responses=problem_responses(409))
async def list_connections(_principal: PrincipalDep, settings: SettingsDep) -> ConnectionList:
    """List the tokens that clients of the servers have."""
    found = await asyncio.to_thread(ClientTokens(settings.data_dir).all)
    return ConnectionList(items=[_connection(server, token) for server, token in found])


@router.delete(
    "/connections/{connection_id}", status_code=204, responses=problem_responses(404, 409, 507)
)
async def disconnect_client(
    connection_id: ConnectionId,
    principal: PrincipalDep,
    database: DatabaseDep,
    settings: SettingsDep,
) -> Response:
    """End the token of a client; its server refuses it within a second."""
    tokens = ClientTokens(settings.data_dir)
    server, token = await asyncio.to_thread(tokens.revoke, connection_id)
    await database.write(_note, principal, "client_disconnected", server, token)
    return Response(status_code=204)


def _fleet(now: ServersDocument, names: Iterable[str]) -> list[ServerConfig]:
    configured = {server.id: server for server in now.servers}
    for name in names:
        if name not in configured:
            raise NotFound(f"There is no server {name!r}.")
        if configured[name].trust != "fleet":
            raise Conflict(f"{name!r} is not a server of the fleet: ask those who run it.")
    return [configured[name] for name in dict.fromkeys(names)]


def _snippet(client: ClientName, scope: ClientScope, servers: list[HttpServer]) -> dict[str, Any]:
    return {
        "client": client,
        "title": TITLES[client],
        "place": PLACES[client],
        "scope": scope,
        "config": client_config(client, servers),
    }


def _connection(server: str, token: ClientToken) -> ClientConnection:
    return ClientConnection(server=server, **token.model_dump(exclude={"sha256"}))


def _note_connected(conn: Connection, principal: Principal, minted: list[Minted]) -> None:
    for made in minted:
        _note(conn, principal, "client_connected", made.server, made.token)


def _note(
    conn: Connection, principal: Principal, action: str, server: str, token: ClientToken
) -> None:
    audit.append(
        conn,
        principal.owner_id,
        actor=principal.actor,
        action=action,
        subject=token.id,
        details={"server": server, "name": token.name, "scope": token.scope},
    )
