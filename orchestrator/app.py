"""The application: every room built once, in the order of the floors, and taken down in reverse."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from orchestrator.api import (
    accounts,
    approvals,
    attachments,
    audit,
    auth,
    chat,
    connect,
    fleet,
    health,
    metrics,
    model_endpoints,
    model_settings,
    models,
    oauth,
    presets,
    questions,
    search,
    secrets,
    server_tools,
    session_branches,
    session_files,
    sessions,
    suggestions,
    tools,
    uploads,
    usage,
)
from orchestrator.api.authentication import Authentication
from orchestrator.api.authenticator import Authenticator
from orchestrator.api.event_stream import declare_event_streams
from orchestrator.api.guard import Guard, own_origins
from orchestrator.api.methods import SpelledOutAddresses
from orchestrator.api.problems import install_problems
from orchestrator.api.sign_ins import SignIns
from orchestrator.api.static import Frontend
from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.inbox import Inbox
from orchestrator.attachments.reaper import Reaper
from orchestrator.attachments.signing import ContentSigner, signing_key
from orchestrator.attachments.stores import blob_store
from orchestrator.attachments.uploads import Attachments
from orchestrator.background import running
from orchestrator.chat.budget import Caps
from orchestrator.chat.direct_calls import DirectCalls
from orchestrator.chat.limits import TurnLimits
from orchestrator.chat.orchestrator import ChatOrchestrator
from orchestrator.chat.resources import ChatSettings, gathered
from orchestrator.chat.temporary import TemporaryChats
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.settings import Settings, load_settings
from orchestrator.store.admission import admit_servers
from orchestrator.store.audit import acting_as
from orchestrator.store.database import Database
from orchestrator.store.document_folder import Contents
from orchestrator.store.documents import Documents
from orchestrator.store.in_force import environment_layers, lasting_layers
from orchestrator.store.migrate import migrate
from orchestrator.store.vault import Vault
from orchestrator.tools.addresses import AddressRule
from orchestrator.tools.aggregator import MCPToolAggregator
from orchestrator.tools.pin_file import PinFile
from orchestrator.tools.tokens import ServerTokens

# The busiest first: routes are tried in their order.
ROUTERS = (
    *(chat, session_files, sessions, session_branches, search),
    *(attachments, approvals, questions, tools, fleet, server_tools, connect, uploads),
    *(models, model_settings, model_endpoints, presets, suggestions, secrets, usage),
    *(accounts, oauth, audit, auth, health, metrics),
)
BUCKET_SETTLES_S = 60
"""A bucket may still finish what a process asked for that has died."""


def create_app() -> ASGIApp:
    """Return the whole application behind its doors; `flotilla serve` runs it."""
    settings = load_settings()
    api = create_api(settings)
    inner = Authentication(
        Frontend(api, settings.frontend_dir),
        lambda: api.state.authenticator,
        lambda: api.state.signer,
    )
    own = own_origins(settings.port, settings.public_origins)
    rules = [uploads.body_rule(settings.attachments_max_size_bytes), session_files.IMPORT_RULE]
    return Guard(inner, own, rules)


def create_api(settings: Settings) -> FastAPI:
    """Return the routes; their rooms are built when the application starts."""
    app = FastAPI(
        title="Flotilla",
        version=version("flotilla"),
        lifespan=lambda app: _rooms(app, settings),
        redirect_slashes=False,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    install_problems(app)
    app.router.routes.insert(0, SpelledOutAddresses(room.router for room in ROUTERS))
    for room in ROUTERS:
        app.include_router(room.router)
    declare_event_streams(app)
    return app


@asynccontextmanager
async def _rooms(app: FastAPI, settings: Settings) -> AsyncGenerator[None]:
    """Build what the routes need and keep it for the life of the process."""
    path = settings.data_dir / "chat_sessions.db"
    migrate(path)
    tls = ssl.create_default_context()
    async with AsyncExitStack() as stack:
        database = Database(path)
        stack.push_async_callback(database.close)
        documents = Documents(settings.data_dir)
        servers = documents.current.mcp_servers
        owner = await database.write(
            admit_servers, settings.data_dir, servers, servers, acting_as.get()
        )
        vault = Vault(database, owner.id, settings.vault_key_path)
        await vault.load()
        authenticator = Authenticator(database)
        await stack.enter_async_context(running(authenticator.keep_last_used()))
        signer = ContentSigner(signing_key(settings.data_dir))
        files = await stack.enter_async_context(_attachments(settings, database, signer))
        llm = await stack.enter_async_context(_model_endpoints(settings, documents, vault, tls))
        aggregator = await stack.enter_async_context(_aggregator(settings, documents, vault, tls))
        follows = (settings.data_dir, database, authenticator, aggregator)
        documents.subscribe(partial(_servers_changed, *follows))
        await stack.enter_async_context(running(documents.follow()))
        inbox = Inbox(database)
        await stack.enter_async_context(running(inbox.keep_deadlines()))
        grants = GrantKeys(settings.data_dir)
        asked = _chat_settings(settings, documents)
        around = (database, llm, aggregator, inbox, grants, files)
        resources = gathered(asked, settings.data_dir, *around)
        chat = ChatOrchestrator(resources, settings.data_dir)
        app.state.chat = await stack.enter_async_context(chat)
        temporary = TemporaryChats(resources, settings.data_dir)
        app.state.temporary = await stack.enter_async_context(temporary)
        calls = DirectCalls(asked, database, aggregator, inbox, grants, files)
        app.state.direct_calls = await stack.enter_async_context(calls)
        app.state.questions = resources.questions
        app.state.sign_ins = SignIns(aggregator.accounts, resources.questions, database)
        app.state.inbox = inbox
        app.state.settings = settings
        app.state.database = database
        app.state.documents = documents
        app.state.vault = vault
        app.state.authenticator = authenticator
        app.state.signer = signer
        app.state.attachments = files
        app.state.aggregator = aggregator
        app.state.models = llm
        yield


@asynccontextmanager
async def _attachments(
    settings: Settings, database: Database, signer: ContentSigner
) -> AsyncGenerator[Attachments]:
    """Give the files, and run their reaper beside the block."""
    blobs = blob_store(settings, signer)
    try:
        reaper = Reaper(
            database,
            blobs,
            retention_days=settings.attachments_retention_days,
            settle_s=BUCKET_SETTLES_S if settings.gcs_bucket_name else 0,
        )
        async with running(reaper.reap()):
            yield Attachments(
                database,
                blobs,
                signer,
                reaper,
                max_size_bytes=settings.attachments_max_size_bytes,
                url_life_s=settings.attachments_url_life_s,
            )
    finally:
        await blobs.aclose()


def _model_endpoints(
    settings: Settings, documents: Documents, vault: Vault, tls: ssl.SSLContext
) -> ModelEndpoints:
    return ModelEndpoints(
        settings.openrouter_base_url,
        settings.openrouter_api_key,
        cache_dir=settings.data_dir / "cache" / "models",
        named=lambda: documents.current.model_settings.endpoints,
        secret=vault.secret,
        ssl_context=tls,
    )


async def _servers_changed(
    data_dir: Path,
    database: Database,
    authenticator: Authenticator,
    aggregator: MCPToolAggregator,
    before: Contents,
    now: Contents,
) -> None:
    """Put a changed list of servers in force."""
    old, new = before.mcp_servers, now.mcp_servers
    if new == old:
        return
    try:
        await database.write(admit_servers, data_dir, old, new, acting_as.get())
        await authenticator.end_revoked()
    finally:
        # Whatever else fails, what runs is what the document says.
        await aggregator.reconfigure(new.servers)


def _aggregator(
    settings: Settings, documents: Documents, vault: Vault, tls: ssl.SSLContext
) -> MCPToolAggregator:
    return MCPToolAggregator(
        documents.current.mcp_servers.servers,
        token_for=ServerTokens(settings.data_dir, vault.secret),
        cache_dir=settings.data_dir / "cache" / "tools",
        pins=PinFile(settings.data_dir / "tool_pins.json"),
        ssl_context=tls,
        addresses=AddressRule(settings.private_server_hosts),
    )


def _chat_settings(settings: Settings, documents: Documents) -> ChatSettings:
    by_environment = environment_layers(settings)
    return ChatSettings(
        model_layers=lambda: lasting_layers(by_environment, documents.current.model_settings),
        timezone=settings.timezone,
        limits=TurnLimits(
            max_rounds=settings.turn_max_rounds,
            max_tool_calls=settings.turn_max_tool_calls,
            max_tool_errors=settings.turn_max_tool_errors,
            max_identical_calls=settings.turn_max_identical_calls,
            max_duration_s=settings.turn_max_duration_s,
            max_cost_microusd=settings.turn_max_cost_microusd,
        ),
        caps=Caps(settings.day_max_cost_microusd, settings.month_max_cost_microusd),
        policy=settings.approval_policy,
        approval_lifetime_h=settings.approval_lifetime_h,
    )
