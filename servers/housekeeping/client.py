"""The orchestrator's HTTP API, as far as the owner's history is concerned."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from servers.housekeeping.settings import Settings
from servers.kit.errors import InvalidInput, NotAllowed, NotFound, TooLarge, Unavailable

TIMEOUT_S = 5.0
MAX_RESPONSE_BYTES = 8 * 1024 * 1024
REMEDY = "start the orchestrator with make run, or set HOUSEKEEPING_API_TOKEN"

Query = dict[str, str | int]
Answer = TypeVar("Answer", bound=BaseModel)


class StoredSession(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    updated_at: str
    snippet: str | None = None


class StoredToolCall(BaseModel):
    model_config = ConfigDict(frozen=True)

    tool: str
    text: str = ""


class StoredMessage(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    role: Literal["user", "assistant", "tool"]
    content: str
    created_at: str
    tool_calls: list[StoredToolCall] = Field(default_factory=list[StoredToolCall])
    tool_call: StoredToolCall | None = None


class StoredAttachment(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str = ""
    mime: str = ""
    size_bytes: int = 0
    created_at: str = ""
    session_id: str | None = None


class SessionList(BaseModel):
    items: list[StoredSession]
    next_cursor: str | None = None


class MessageList(BaseModel):
    """One page of a session, the newest page first, oldest message first inside."""

    items: list[StoredMessage]
    next_cursor: str | None = None


class AttachmentList(BaseModel):
    items: list[StoredAttachment]
    next_cursor: str | None = None


class OrchestratorClient:
    """Reads history; `open_orchestrator` makes and closes it."""

    def __init__(self, http: httpx2.AsyncClient, settings: Settings) -> None:
        self._http = http
        self.settings = settings

    async def sessions(self, query: Query) -> SessionList:
        return await self._get("/api/sessions", query, SessionList)

    async def messages(self, session_id: str, query: Query) -> MessageList:
        """Raises NotFound when the owner has no such session."""
        path = f"/api/sessions/{quote(session_id, safe='')}/messages"
        try:
            return await self._get(path, query, MessageList)
        except NotFound as error:
            raise NotFound(
                f"There is no session {session_id!r}; search_history lists session ids."
            ) from error

    async def attachments(self, query: Query) -> AttachmentList:
        """Raises NotFound when this orchestrator keeps no attachments."""
        try:
            return await self._get("/api/attachments", query, AttachmentList)
        except NotFound as error:
            raise NotFound("This orchestrator keeps no attachments yet.") from error

    async def _get(self, path: str, query: Query, kind: type[Answer]) -> Answer:
        url = self.settings.orchestrator_url.rstrip("/") + path
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}
        body = bytearray()
        try:
            async with self._http.stream("GET", url, params=query, headers=headers) as response:
                _check(response)
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise TooLarge("The orchestrator's answer is over 8 MB: ask for less.")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(
                f"The orchestrator at {self.settings.orchestrator_url} does not answer: is it "
                "running (make run), and is HOUSEKEEPING_ORCHESTRATOR_URL right?"
            ) from error
        try:
            return kind.model_validate_json(bytes(body))
        except ValidationError as error:
            raise Unavailable("The orchestrator's answer could not be understood.") from error

    def _token(self) -> str:
        """Return the bearer token, read anew each time: the orchestrator may have replaced it."""
        if self.settings.api_token is not None:
            return self.settings.api_token.get_secret_value()
        try:
            token = self.settings.token_path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NotAllowed(f"No token for the owner's history: {REMEDY}.") from error
        if not token:
            raise NotAllowed(f"The token for the owner's history is empty: {REMEDY}.")
        return token


@asynccontextmanager
async def open_orchestrator(settings: Settings) -> AsyncGenerator[OrchestratorClient]:
    """Yield a client; nothing is sent before the first question."""
    async with httpx2.AsyncClient(
        verify=ssl.create_default_context(),
        timeout=TIMEOUT_S,
        trust_env=False,  # a proxy or .netrc must not see the owner's token
        headers={"Accept-Encoding": "identity"},
    ) as http:
        yield OrchestratorClient(http, settings)


def _check(response: httpx2.Response) -> None:
    match response.status_code:
        case 200:
            return
        case 400 | 422:
            raise InvalidInput("The orchestrator refused these arguments; check ids and times.")
        case 401 | 403:
            raise NotAllowed(f"The orchestrator refused this server's token: {REMEDY}.")
        case 404:
            raise NotFound("The orchestrator has no such thing.")
        case status:
            seconds = response.headers.get("Retry-After", "")
            raise Unavailable(
                f"The orchestrator answered {status}.",
                retry_after_s=float(seconds) if seconds.isdecimal() else None,
            )
