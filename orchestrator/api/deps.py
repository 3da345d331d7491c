"""What routes ask for by type.

The functions are `async` so that FastAPI calls them here and not in a thread each.
"""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from orchestrator.api.authenticator import Authenticator, Principal
from orchestrator.chat.orchestrator import ChatOrchestrator
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.tools.aggregator import MCPToolAggregator


async def _principal(connection: HTTPConnection) -> Principal:
    return connection.state.principal


async def _authenticator(connection: HTTPConnection) -> Authenticator:
    return connection.app.state.authenticator


async def _database(connection: HTTPConnection) -> Database:
    return connection.app.state.database


async def _settings(connection: HTTPConnection) -> Settings:
    return connection.app.state.settings


async def _chat(connection: HTTPConnection) -> ChatOrchestrator:
    return connection.app.state.chat


async def _aggregator(connection: HTTPConnection) -> MCPToolAggregator:
    return connection.app.state.aggregator


PrincipalDep = Annotated[Principal, Depends(_principal)]
AuthenticatorDep = Annotated[Authenticator, Depends(_authenticator)]
DatabaseDep = Annotated[Database, Depends(_database)]
SettingsDep = Annotated[Settings, Depends(_settings)]
ChatDep = Annotated[ChatOrchestrator, Depends(_chat)]
AggregatorDep = Annotated[MCPToolAggregator, Depends(_aggregator)]
