"""What routes ask for by type.

The functions are `async` so that FastAPI calls them here and not in a thread each.
"""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from orchestrator.api.authenticator import Authenticator, Principal
from orchestrator.api.sign_ins import SignIns
from orchestrator.approvals.inbox import Inbox
from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.attachments.uploads import Attachments
from orchestrator.chat.direct_calls import DirectCalls
from orchestrator.chat.orchestrator import ChatOrchestrator
from orchestrator.chat.temporary import TemporaryChats
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from orchestrator.store.documents import Documents
from orchestrator.store.vault import Vault
from orchestrator.tools.aggregator import MCPToolAggregator


async def _principal(connection: HTTPConnection) -> Principal:
    return connection.state.principal


async def _authenticator(connection: HTTPConnection) -> Authenticator:
    return connection.app.state.authenticator


async def _holds_in_memory(connection: HTTPConnection) -> bool:
    """Return whether the path names a chat that no disk sees, or something in it."""
    ids = connection.path_params.values()
    return bool(ids) and await connection.app.state.temporary.holds(ids)


async def _database(connection: HTTPConnection) -> Database:
    state = connection.app.state
    return state.temporary.database if await _holds_in_memory(connection) else state.database


async def _stored(connection: HTTPConnection) -> Database:
    return connection.app.state.database


async def _temporary(connection: HTTPConnection) -> TemporaryChats:
    return connection.app.state.temporary


async def _settings(connection: HTTPConnection) -> Settings:
    return connection.app.state.settings


async def _documents(connection: HTTPConnection) -> Documents:
    return connection.app.state.documents


async def _vault(connection: HTTPConnection) -> Vault:
    return connection.app.state.vault


async def _chat(connection: HTTPConnection) -> ChatOrchestrator:
    state = connection.app.state
    return state.temporary.chat if await _holds_in_memory(connection) else state.chat


async def _aggregator(connection: HTTPConnection) -> MCPToolAggregator:
    return connection.app.state.aggregator


async def _models(connection: HTTPConnection) -> ModelEndpoints:
    return connection.app.state.models


async def _inbox(connection: HTTPConnection) -> Inbox:
    state = connection.app.state
    return state.temporary.inbox if await _holds_in_memory(connection) else state.inbox


async def _attachments(connection: HTTPConnection) -> Attachments:
    return connection.app.state.attachments


async def _direct_calls(connection: HTTPConnection) -> DirectCalls:
    return connection.app.state.direct_calls


async def _questions(connection: HTTPConnection) -> QuestionDesk:
    return connection.app.state.questions


async def _sign_ins(connection: HTTPConnection) -> SignIns:
    return connection.app.state.sign_ins


PrincipalDep = Annotated[Principal, Depends(_principal)]
AuthenticatorDep = Annotated[Authenticator, Depends(_authenticator)]
DatabaseDep = Annotated[Database, Depends(_database)]
"""The one that holds what the path names."""
StoredDatabaseDep = Annotated[Database, Depends(_stored)]
TemporaryDep = Annotated[TemporaryChats, Depends(_temporary)]
SettingsDep = Annotated[Settings, Depends(_settings)]
DocumentsDep = Annotated[Documents, Depends(_documents)]
VaultDep = Annotated[Vault, Depends(_vault)]
ChatDep = Annotated[ChatOrchestrator, Depends(_chat)]
AggregatorDep = Annotated[MCPToolAggregator, Depends(_aggregator)]
ModelsDep = Annotated[ModelEndpoints, Depends(_models)]
InboxDep = Annotated[Inbox, Depends(_inbox)]
AttachmentsDep = Annotated[Attachments, Depends(_attachments)]
DirectCallsDep = Annotated[DirectCalls, Depends(_direct_calls)]
QuestionsDep = Annotated[QuestionDesk, Depends(_questions)]
SignInsDep = Annotated[SignIns, Depends(_sign_ins)]
