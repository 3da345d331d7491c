"""Sends one request to Google, again only where that can do no harm, and says what is known.

Google's own transport, httplib2, sends a POST again by itself when the connection ends without an
answer, and reads answers of any size.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx2

from servers.kit.errors import TooLarge, Unavailable, UpstreamError
from servers.kit.gate.current import note_acted
from servers.kit.google.bearer import Bearer
from servers.kit.google.errors import OutcomeUnknown, Refusal

MAX_REPEATS = 3
MAX_WAIT_S = 30.0
FIRST_BACK_OFF_S = 0.5
MAX_REFUSAL_BYTES = 64 * 1024
# Before the first byte of the request: Google cannot have acted.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)

Taken = TypeVar("Taken")


class Sender:
    """One request of Google's client on its way; for one use."""

    def __init__(
        self, bearer: Bearer, http: httpx2.AsyncClient, request: Any, *, may_repeat: bool = False
    ) -> None:
        if request.resumable is not None:
            raise ValueError(f"{request.methodId}: resumable uploads are not sent")
        self._bearer = bearer
        self._http = http
        self._request = request
        self.is_read = request.method == "GET"
        self._may_repeat = self.is_read or may_repeat
        self._may_have_acted = False

    async def send(self, take: Callable[[httpx2.Response], Awaitable[Taken]]) -> Taken:
        """What `take` makes of the answer, which it has to close.

        Raises the UpstreamErrors; OutcomeUnknown for a write that perhaps happened.
        """
        try:
            return await self._sent(take)
        except UpstreamError as error:
            if self._may_have_acted and not self.is_read:
                raise OutcomeUnknown(
                    f"{self._request.methodId} was sent, and its answer was lost"
                ) from error
            raise
        finally:
            if self._may_have_acted and not self._may_repeat:
                note_acted()

    async def _sent(self, take: Callable[[httpx2.Response], Awaitable[Taken]]) -> Taken:
        patience = _Patience()
        was_renewed = False
        while True:
            token = self._bearer.token
            try:
                answer = await self._attempt(token.token)
                if not isinstance(answer, Refusal):
                    return await take(answer)
            except httpx2.HTTPError as error:
                failure, may_repeat, wait_s = _lost(error), self._may_repeat, None
                self._may_have_acted |= not isinstance(error, _NOT_SENT)
            else:
                if answer.status == 401 and not was_renewed:
                    was_renewed = True
                    await self._bearer.renew(token)
                    continue
                if answer.status == 401:
                    await self._bearer.give_up(token)
                self._may_have_acted |= answer.status >= 500
                failure = answer.error(self._bearer.account, self._bearer.capability)
                may_repeat = answer.did_not_act or (answer.is_passing and self._may_repeat)
                wait_s = answer.retry_after_s
            if not (may_repeat and await patience.pause(wait_s)):
                raise failure

    async def _attempt(self, token: str) -> httpx2.Response | Refusal:
        """The open answer, or why there is none. Raises httpx2.HTTPError."""
        headers = {
            **self._request.headers,
            "authorization": f"Bearer {token}",
            # Unpacked, an answer could be any size.
            "accept-encoding": "identity",
            "user-agent": "flotilla",
        }
        request = self._http.build_request(
            self._request.method, self._request.uri, headers=headers, content=self._request.body
        )
        response = await self._http.send(request, stream=True)
        if response.is_success:
            self._may_have_acted = True
            return response
        return await _refusal(response)


class _Patience:
    """How often and how long one request waits for its next attempt."""

    def __init__(self) -> None:
        self._repeats = 0
        self._left_s = MAX_WAIT_S

    async def pause(self, asked_s: float | None) -> bool:
        """Waits as long as Google asked; False, at once, when that is too long or too often."""
        wait_s = asked_s
        if wait_s is None:
            spread = random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets
            wait_s = FIRST_BACK_OFF_S * 2**self._repeats * spread
        if self._repeats >= MAX_REPEATS or wait_s > self._left_s:
            return False
        self._repeats += 1
        self._left_s -= wait_s
        await asyncio.sleep(wait_s)
        return True


async def bounded(response: httpx2.Response, max_bytes: int) -> bytes:
    """The whole answer, which is closed then. Raises TooLarge and httpx2.HTTPError."""
    content = bytearray()
    try:
        async for chunk in limited(response, max_bytes):
            content += chunk
    finally:
        await response.aclose()
    return bytes(content)


async def limited(response: httpx2.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """The answer piece by piece. Raises TooLarge and httpx2.HTTPError."""
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(f"Google's answer is over {max_bytes:,} bytes: ask for less.")
        yield chunk


async def _refusal(response: httpx2.Response) -> Refusal:
    content = bytearray()
    try:
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > MAX_REFUSAL_BYTES:
                break
    except httpx2.HTTPError:
        # The status says it; only the reason is lost.
        content.clear()
    finally:
        await response.aclose()
    return Refusal(response.status_code, response.headers.get("Retry-After"), bytes(content))


def _lost(error: httpx2.HTTPError) -> Unavailable:
    if isinstance(error, _NOT_SENT):
        return Unavailable("Google cannot be reached.")
    if isinstance(error, httpx2.TimeoutException):
        return Unavailable("Google is too slow.")
    return Unavailable("The connection to Google broke off.")
