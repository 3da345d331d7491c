"""Calls one of Google's APIs: built by Google's client, sent by ours (decision 0008).

```python
@asynccontextmanager
async def _lifespan(_):
    async with GoogleApi(mcp.accounts, "gmail", "v1") as api:
        yield Mail(api)

google = await api.account(account, "read")        # GoogleAccount; raises SignInRequired, NotFound
google.name                                        # "anna@example.org", for `account` of results
messages = google.service.users().messages()       # the built resource; it only builds requests
page = await google.execute(messages.list(userId="me", q=query, maxResults=20))
found = await google.read_all([messages.get(userId="me", id=item["id"]) for item in ...])
files.save(name, google.bytes_of(attachments.get(userId="me", messageId=..., id=...)))
request.headers["If-Match"] = etag                 # before `execute`; 412 raises Conflict
await google.execute(request, may_repeat=True)     # a write that may be sent twice
```

Errors are those of `kit/errors.py`, and `OutcomeUnknown` for a write whose answer was lost: catch
it only where you can look whether the write happened.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import cached_property
from types import TracebackType
from typing import Any, Self, cast

import httpx2

from servers.kit.accounts import Accounts
from servers.kit.errors import NotFound, Unavailable
from servers.kit.google.base64_field import decoded_field
from servers.kit.google.bearer import Bearer
from servers.kit.google.errors import OutcomeUnknown
from servers.kit.google.sending import Sender, bounded
from servers.kit.google.settings import GoogleSettings

MAX_JSON_BYTES = 2 * 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024
"""Of an answer that holds a file in base64: Gmail takes mails of up to 50 MB."""
MAX_AT_ONCE = 8
"""Requests of one account; Google counts per user and second."""
TIMEOUT = httpx2.Timeout(connect=5, read=30, write=30, pool=60)


class GoogleApi:
    """One API; an async context manager, which closes its connections."""

    def __init__(
        self,
        accounts: Accounts,
        api: str,
        version: str,
        settings: GoogleSettings | None = None,
    ) -> None:
        self._accounts = accounts
        self._api = api
        self._version = version
        self._settings = settings or GoogleSettings()
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(MAX_AT_ONCE)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if "_http" in self.__dict__:
            await self._http.aclose()

    async def account(self, account: str | None, capability: str) -> "GoogleAccount":
        """An account that permits `capability`; without a name the default one.

        Raises SignInRequired, NotFound for one that nobody signed in, NotAllowed, Unavailable.
        """
        token = await self._accounts.access(account, capability)
        service = await asyncio.to_thread(lambda: self.service)
        slots = self._slots[token.account]
        bearer = Bearer(self._accounts, token, capability)
        return GoogleAccount(bearer, service, self._http, slots)

    @cached_property
    def service(self) -> Any:
        """The built resource of the API. The first use takes 0.1 s."""
        # Not with the server: it costs 6 MB, which a server that nobody calls need not have.
        from servers.kit.google.discovery import built_service  # noqa: PLC0415

        return built_service(self._api, self._version, self._settings.api_root)

    @cached_property
    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=TIMEOUT,
            follow_redirects=False,
            trust_env=False,  # a proxy or .netrc must not see the owner's tokens
        )


class GoogleAccount:
    """What one call of a tool may do at Google, and for whom."""

    def __init__(
        self, bearer: Bearer, service: Any, http: httpx2.AsyncClient, slots: asyncio.Semaphore
    ) -> None:
        self.name = bearer.account
        """The account's address, in lower case."""
        self.service = service
        """Builds requests: `google.service.users().messages().get(...)`."""
        self._bearer = bearer
        self._http = http
        self._slots = slots

    async def execute(
        self, request: Any, *, may_repeat: bool = False, max_bytes: int = MAX_JSON_BYTES
    ) -> dict[str, Any]:
        """Sends a request that `service` built; the answer's JSON, or {} when it has none.

        `may_repeat`: whether a write does the same when it happens twice. Reads are repeated by
        themselves. Raises the UpstreamErrors; TooLarge for an answer over `max_bytes`; and
        OutcomeUnknown for a write that perhaps happened.
        """
        sender = Sender(self._bearer, self._http, request, may_repeat=may_repeat)
        async with self._slots:
            content = await sender.send(lambda response: bounded(response, max_bytes))
        return _parsed(request, content, is_read=sender.is_read)

    async def read_all(
        self, requests: Sequence[Any], *, max_bytes: int = MAX_JSON_BYTES
    ) -> list[dict[str, Any] | None]:
        """The answers to several reads, in their order, a few at once.

        None for what is not there (any more). Raises what the first that failed raises.
        """
        answers: list[dict[str, Any] | None] = [None] * len(requests)

        async def read(position: int) -> None:
            try:
                answers[position] = await self.execute(requests[position], max_bytes=max_bytes)
            except NotFound:
                answers[position] = None

        try:
            async with asyncio.TaskGroup() as group:
                for position in range(len(requests)):
                    group.create_task(read(position))
        except ExceptionGroup as error:
            raise error.exceptions[0] from error
        return answers

    async def bytes_of(
        self, request: Any, *, field: str = "data", max_bytes: int = MAX_FILE_BYTES
    ) -> AsyncGenerator[bytes]:
        """The bytes that the answer to a read holds in base64url, as Gmail gives files.

        `field` is its name at the top of the answer: `data` of an attachment, `raw` of a mail.
        Little of it is in memory at a time; `max_bytes` is for the answer as it is sent. Raises
        the UpstreamErrors, in the middle too.
        """
        async with self._slots:
            response = await Sender(self._bearer, self._http, request).send(_kept_open)
            try:
                async with aclosing(decoded_field(response, field, max_bytes)) as pieces:
                    async for piece in pieces:
                        yield piece
            except httpx2.HTTPError as error:
                raise Unavailable("The connection to Google broke off.") from error
            finally:
                await response.aclose()


async def _kept_open(response: httpx2.Response) -> httpx2.Response:
    return response


def _parsed(request: Any, content: bytes, *, is_read: bool) -> dict[str, Any]:
    # Loaded by now: `service` needed it.
    from servers.kit.google.discovery import read_answer  # noqa: PLC0415

    if not content:
        return {}
    try:
        answer = read_answer(request, content)
    except UnicodeDecodeError:
        answer = None
    if isinstance(answer, dict):
        return cast("dict[str, Any]", answer)
    if is_read:
        raise Unavailable("Google's answer could not be understood.")
    raise OutcomeUnknown("Google took the write, and its answer could not be understood.")
