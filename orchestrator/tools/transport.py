"""The only way to a server: HTTP that is bounded, follows nothing, and fails softly.

The SDK closes the whole session, and with it every other call in flight, when one POST raises.
So nothing raises here: whatever goes wrong becomes a JSON-RPC error of that one request, with
`data.kind` from `failures.FailureKind` and the HTTP status.
"""

import asyncio
import ssl
from contextvars import ContextVar

import httpx2

from orchestrator.tools.addresses import AddressRule, CheckedTransport
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.replies import (
    Envelope,
    EventReply,
    answer_to,
    broken_exchange,
    failure_answer,
    read_capped,
    read_envelope,
)

MAX_REPLY_BYTES = 8 * 1024 * 1024
_CONNECT_TIMEOUT_S = 2.0
_SIDE_REQUEST_TIMEOUT_S = 1.0
_GRACE_S = 0.5
_MAX_ERROR_BODY_BYTES = 64 * 1024
# Below the five seconds after which uvicorn closes an idle connection: the other order loses calls.
_KEEPALIVE_S = 4.0
_DEFAULT_DEADLINE_S = 30.0

request_deadline: ContextVar[float | None] = ContextVar("request_deadline", default=None)
"""Loop time at which the request being sent must have ended.

The SDK sends every request in a copy of its caller's context, and this is the only thing that
reaches the transport from there. A legacy reply outlives its cancelled caller, hence the need.
"""


class CappedTransport(httpx2.AsyncBaseTransport):
    """Wraps a transport so that every POST ends in time, in bounded memory, with an answer."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, *, max_reply_bytes: int) -> None:
        self._inner = inner
        self._max_reply_bytes = max_reply_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        if request.method == "GET":
            # The stream for unasked messages, and resuming: we list by time and never resume.
            return httpx2.Response(405, request=request)
        message = Envelope() if request.method == "DELETE" else read_envelope(request.content)
        if message.id is None or not message.is_request:
            return await self._send_aside(request)
        try:
            return await self._exchange(request, message.id)
        except ExchangeFailed as error:
            failure = error
        except TimeoutError:
            failure = ExchangeFailed("timeout", "the answer did not come in time")
        except httpx2.TransportError as error:
            failure = broken_exchange(error)
        return _json_response(request, 200, failure_answer(message.id, failure))

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _send_aside(self, request: httpx2.Request) -> httpx2.Response:
        """Send what needs no answer. The SDK sends nothing else meanwhile, so it must be quick."""
        try:
            async with asyncio.timeout(_SIDE_REQUEST_TIMEOUT_S):
                response = await self._inner.handle_async_request(request)
                await response.aclose()
        except (TimeoutError, httpx2.TransportError):
            pass  # Nobody waits for it, and the next request meets the same fault.
        return httpx2.Response(204 if request.method == "DELETE" else 202, request=request)

    async def _exchange(self, request: httpx2.Request, request_id: int | str) -> httpx2.Response:
        loop_time = asyncio.get_running_loop().time
        deadline = (request_deadline.get() or loop_time() + _DEFAULT_DEADLINE_S) + _GRACE_S
        async with asyncio.timeout_at(deadline):
            response = await self._inner.handle_async_request(request)
            streams = False
            try:
                refuse_redirects_and_encodings(response)
                if response.status_code >= 400:
                    return await _refusal(request, request_id, response)
                media_type = response.headers.get("content-type", "").partition(";")[0].strip()
                if media_type.lower() == "text/event-stream":
                    streams = True
                    return self._event_response(request, request_id, response, deadline)
                if media_type.lower() != "application/json":
                    raise ExchangeFailed(
                        "garbage", f"it answered with {media_type[:60]!r}, not JSON"
                    )
                body = await read_capped(response, self._max_reply_bytes)
                return _json_response(request, 200, answer_to(request_id, body), response.headers)
            finally:
                if not streams:
                    await response.aclose()

    def _event_response(
        self,
        request: httpx2.Request,
        request_id: int | str,
        response: httpx2.Response,
        deadline: float,
    ) -> httpx2.Response:
        stream = EventReply(
            response, request_id, max_bytes=self._max_reply_bytes, deadline=deadline
        )
        headers = {"content-type": "text/event-stream"} | _session_header(response.headers)
        return httpx2.Response(200, headers=headers, stream=stream, request=request)


def http_client(
    token: str | None,
    ssl_context: ssl.SSLContext,
    *,
    addresses: AddressRule | None,
    max_reply_bytes: int = MAX_REPLY_BYTES,
) -> httpx2.AsyncClient:
    """Return a client for one server, to be closed by the caller.

    With `addresses`, it connects only to those that the rule lets through.
    """
    limits = httpx2.Limits(
        max_connections=64, max_keepalive_connections=8, keepalive_expiry=_KEEPALIVE_S
    )
    inner: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(
        verify=ssl_context, limits=limits, trust_env=False
    )
    if addresses is not None:
        inner = CheckedTransport(inner, addresses)
    return httpx2.AsyncClient(
        transport=CappedTransport(inner, max_reply_bytes=max_reply_bytes),
        headers={} if token is None else {"authorization": f"Bearer {token}"},
        # Deadlines belong to calls, so HTTP itself may wait; only connecting is quick.
        timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S, pool=_CONNECT_TIMEOUT_S),
        trust_env=False,
    )


def refuse_redirects_and_encodings(response: httpx2.Response) -> None:
    """Raise ExchangeFailed for a reply that is neither followed nor unpacked."""
    status = response.status_code
    if 300 <= status < 400:
        raise ExchangeFailed(
            "redirect", f"it answered with a redirect (HTTP {status})", status=status
        )
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise ExchangeFailed("garbage", "it sent an encoded reply that was not asked for")


async def _refusal(
    request: httpx2.Request, request_id: int | str, response: httpx2.Response
) -> httpx2.Response:
    """Return the JSON-RPC error that came with an error status. Raises when there is none."""
    status = response.status_code
    if status in (401, 403):
        raise ExchangeFailed("auth", f"it did not accept the token (HTTP {status})", status=status)
    if status == 404 and "mcp-session-id" in request.headers:
        raise ExchangeFailed("session_lost", "it has forgotten the session", status=status)
    try:
        body = await read_capped(response, _MAX_ERROR_BODY_BYTES)
        answer = answer_to(request_id, body)
    except ExchangeFailed as error:
        failure = ExchangeFailed("http", f"it answered with HTTP {status}", status=status)
        raise failure from error
    return _json_response(request, status, answer)


def _json_response(
    request: httpx2.Request, status: int, body: bytes, headers: httpx2.Headers | None = None
) -> httpx2.Response:
    fields = {"content-type": "application/json"} | _session_header(headers)
    return httpx2.Response(status, headers=fields, content=body, request=request)


def _session_header(headers: httpx2.Headers | None) -> dict[str, str]:
    session_id = headers.get("mcp-session-id") if headers else None
    return {"mcp-session-id": session_id} if session_id else {}
