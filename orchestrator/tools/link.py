"""One open MCP session with one server."""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from typing import Any, cast, get_args

import httpx2
from anyio import BrokenResourceError, ClosedResourceError
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp.types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    UNSUPPORTED_PROTOCOL_VERSION,
    URL_ELICITATION_REQUIRED,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    PaginatedRequestParams,
    RequestParamsMeta,
)
from pydantic import TypeAdapter, ValidationError

from orchestrator.domain.tools import ProgressHandler
from orchestrator.tools.addresses import AddressRule
from orchestrator.tools.definitions import ToolListing
from orchestrator.tools.failures import ExchangeFailed, FailureKind
from orchestrator.tools.replies import RPC_FAILURE
from orchestrator.tools.transport import MAX_REPLY_BYTES, http_client, request_deadline

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 2.0
_CLIENT_INFO = Implementation(name="flotilla", version="1")
_MAX_MESSAGE = 500
_MAX_PAGES = 50
_SDK_ERRORS = (MCPError, ValidationError, RuntimeError, ClosedResourceError, BrokenResourceError)
_CALL_RESULT: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(
    CallToolResult | InputRequiredResult
)
_KINDS = frozenset(get_args(FailureKind))
_REFUSALS = frozenset(
    {
        HEADER_MISMATCH,
        INVALID_PARAMS,
        INVALID_REQUEST,
        METHOD_NOT_FOUND,
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        PARSE_ERROR,
        UNSUPPORTED_PROTOCOL_VERSION,
        URL_ELICITATION_REQUIRED,
    }
)


@dataclass(frozen=True, slots=True)
class Peer:
    """What a server says of itself when a session opens."""

    version: str | None
    instructions: str | None
    protocol_version: str


class Link:
    """Owns one SDK client, in one task, because it must be closed in the task that opened it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        ssl_context: ssl.SSLContext,
        addresses: AddressRule | None,
    ) -> None:
        self._url = url
        self._token = token
        self._ssl_context = ssl_context
        self._addresses = addresses
        self._client: Client | None = None
        self._stop = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self._is_released = False
        self._calls = 0
        self.is_over = False
        self.peer = Peer(version=None, instructions=None, protocol_version="")

    async def hold(self, opened: "asyncio.Future[None]") -> ExchangeFailed | None:
        """Open the session, say so through `opened`, and keep it until it is released.

        Returns what broke an open session; what keeps it from opening is raised by `opened`.
        """
        deadline = asyncio.get_running_loop().time() + OPEN_TIMEOUT_S
        request_deadline.set(deadline)
        limit = self._limit = asyncio.timeout_at(deadline)
        try:
            async with (
                limit,
                http_client(self._token, self._ssl_context, addresses=self._addresses) as http,
                self._new_client(http) as client,
            ):
                self._client, self.peer = client, _peer_of(client)
                limit.reschedule(None)
                if not opened.done():
                    opened.set_result(None)
                await self._stop.wait()
                limit.reschedule(asyncio.get_running_loop().time() + _CLOSE_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001  (border of the task; the SDK raises groups)
            failure = _failure_of(error)
            if not opened.done():
                opened.set_exception(failure)
                return None
            return None if self._stop.is_set() else failure
        finally:
            self._client, self._limit, self.is_over = None, None, True
        return None

    def release(self) -> None:
        """Let the session end as soon as its calls in flight have ended."""
        self._is_released = True
        if not self._calls:
            self._stop.set()

    def give_up(self) -> None:
        """Release the session, and do not wait for one that is only opening or listing."""
        self.release()
        if self._stop.is_set() and self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def close(self, deadline: float) -> None:
        """Release the session and see it end; calls in flight get until `deadline` (loop time)."""
        self.release()
        try:
            async with asyncio.timeout_at(deadline):
                await self._stop.wait()
        except TimeoutError:
            logger.info("session_closed_with_calls calls=%d", self._calls)
            self._stop.set()

    async def list_tools(self) -> ToolListing:
        """Return all tools the server lists, up to our bounds. Raises ExchangeFailed."""
        client = self._connected()
        deadline = asyncio.get_running_loop().time() + OPEN_TIMEOUT_S
        request_deadline.set(deadline)
        listing, cursor = ToolListing(), None
        try:
            async with asyncio.timeout_at(deadline):
                for _ in range(_MAX_PAGES):
                    params = PaginatedRequestParams(cursor=cursor) if cursor else None
                    page = await client.session.list_tools(params=params)
                    listing.add(page.tools)
                    listing.lifetime_s = page.ttl_ms / 1000 if page.ttl_ms else None
                    cursor = page.next_cursor
                    if not cursor or listing.is_full:
                        break
        except TimeoutError as error:
            raise ExchangeFailed("timeout", "its tool list did not come in time") from error
        except _SDK_ERRORS as error:
            raise _failure_of(error) from error
        listing.is_cut = listing.is_cut or bool(cursor)
        return listing

    async def call_tool(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        meta: RequestParamsMeta | None,
        deadline: float,
        on_progress: ProgressHandler | None,
    ) -> CallToolResult:
        """Return what the tool answered by `deadline` (loop time). Raises ExchangeFailed.

        This goes past `Client.call_tool`, which would check the result against the output
        schema: a schema of a hostile server could keep the event loop busy for ever.
        """
        client = self._connected()
        params = CallToolRequestParams(name=tool, arguments=arguments, _meta=meta)
        request_deadline.set(deadline)
        self._calls += 1
        try:
            async with asyncio.timeout_at(deadline):
                result = await client.session.send_request(
                    CallToolRequest(params=params),
                    _CALL_RESULT,
                    progress_callback=_progress_callback(on_progress),
                )
        except TimeoutError as error:
            raise ExchangeFailed("timeout", "the answer did not come in time") from error
        except _SDK_ERRORS as error:
            raise _failure_of(error) from error
        finally:
            self._calls -= 1
            if self._is_released and not self._calls:
                self._stop.set()
        if isinstance(result, InputRequiredResult):
            raise ExchangeFailed("rpc", "it asks for input in the middle of a call")
        return result

    def _new_client(self, http: httpx2.AsyncClient) -> Client:
        streams = streamable_http_client(
            self._url, http_client=http, max_sse_event_size=MAX_REPLY_BYTES
        )
        return Client(streams, cache=None, client_info=_CLIENT_INFO)

    def _connected(self) -> Client:
        if self._client is None:
            raise ExchangeFailed("refused", "the session is closed")
        return self._client


def _peer_of(client: Client) -> Peer:
    info = client.server_info
    return Peer(
        version=info.version if info else None,
        instructions=client.instructions,
        protocol_version=client.protocol_version,
    )


def _progress_callback(handler: ProgressHandler | None) -> ProgressFnT | None:
    if handler is None:
        return None

    async def forward(progress: float, total: float | None, message: str | None) -> None:
        handler(progress, total, message[:_MAX_MESSAGE] if message else None)

    return forward


def _failure_of(error: BaseException) -> ExchangeFailed:
    """Return the one failure behind what the SDK raised."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _failure_of(group.exceptions[0])
    if isinstance(error, ExchangeFailed):
        return error
    if isinstance(error, TimeoutError):
        return ExchangeFailed("timeout", "the answer did not come in time")
    if isinstance(error, ValidationError):
        return ExchangeFailed("garbage", "the answer does not have the form MCP asks for")
    if isinstance(error, MCPError):
        return _failure_of_rpc(error)
    return ExchangeFailed("broken", f"the session broke ({type(error).__name__})")


def _failure_of_rpc(error: MCPError) -> ExchangeFailed:
    code, message, data = error.error.code, error.error.message, cast("object", error.error.data)
    if code == RPC_FAILURE and isinstance(data, dict):
        ours = cast("dict[str, Any]", data)
        if ours.get("kind") in _KINDS:
            return ExchangeFailed(ours["kind"], message, status=ours.get("status"))
    if message in ("Session not found", "Session terminated"):
        return ExchangeFailed("session_lost", "it has forgotten the session")
    if code == CONNECTION_CLOSED:
        return ExchangeFailed("broken", "the connection ended before the answer came")
    if code == REQUEST_TIMEOUT:
        return ExchangeFailed("timeout", "the answer did not come in time")
    kind = "rpc" if code in _REFUSALS else "fault"
    return ExchangeFailed(kind, f"it answered with error {code}: {message[:_MAX_MESSAGE]}")
