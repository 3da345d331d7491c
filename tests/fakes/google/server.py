"""The fake Google itself: a real HTTP server in a thread, and the way of one request through it."""

import json
import socket
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import anyio.lowlevel
import anyio.to_thread
import uvicorn
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from tests.fakes.google.calendars import Calendar, Notice
from tests.fakes.google.calls import HANDLERS, ApiCall, Seen
from tests.fakes.google.discovery import (
    Method,
    check_answer,
    find_method,
    read_body,
    read_parameters,
)
from tests.fakes.google.faults import Fault, Faults
from tests.fakes.google.field_masks import masked
from tests.fakes.google.mailbox import Sent
from tests.fakes.google.oauth import OAuth
from tests.fakes.google.people import Person
from tests.fakes.google.refusals import Refused, bad_token, scope_missing
from tests.fakes.google.wire import (
    BATCH_PATHS,
    MAX_BATCH,
    Answer,
    Asked,
    batch_answer,
    batched,
    taken_apart,
)

_MAX_BODY_BYTES = 64 * 1024 * 1024
_API_PATHS = ("/gmail/", "/calendar/", "/tasks/", "/upload/", "/resumable/", "/batch")
_SERVICES = {
    "gmail.v1": "gmail.googleapis.com",
    "calendar.v3": "calendar-json.googleapis.com",
    "tasks.v1": "tasks.googleapis.com",
}


class FakeGoogle:
    """Gmail, Calendar, Tasks and the sign-in on one loopback address, until the block ends."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held while a request is carried out, and while a test changes what is there."""
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.url = ""
        self.people: dict[str, Person] = {}
        self.faults = Faults()
        self.oauth = OAuth()
        self.sent: list[Sent] = []
        """The mails that went out, of all people, in order."""
        self.calendars: dict[str, Calendar] = {}
        self.invitations: list[Notice] = []
        """The mails about events that went to other people, in order."""
        self.calls: list[Seen] = []
        """The requests to the APIs that have ended, in order."""
        self.defects: list[str] = []
        """What went wrong inside the fake itself: a test that uses it may look here."""
        self._arrived: list[str] = []
        self._news = threading.Condition()
        # No Starlette: it would wrap `send`, which a fault needs to cut a connection.
        self._others = Router(self.oauth.routes)

    @property
    def environment(self) -> dict[str, str]:
        """What a server needs to take this for Google."""
        return {"GOOGLE_API_ROOT": self.url, **self.oauth.environment(self.url)}

    def now(self) -> datetime:
        """Return the time on the clock, which a test may change."""
        return self.clock()

    def person(self, email: str) -> Person:
        """Return the person with this address, who has an account from now on."""
        with self.lock:
            if email not in self.people:
                self.people[email] = Person(email, self)
            return self.people[email]

    def count(self, method: str) -> int:
        """Return how many requests to a method have come, answered or not."""
        with self._news:
            return self._arrived.count(method)

    def wait_for(self, method: str, count: int = 1) -> None:
        """Return once `count` requests to a method have come in all."""
        with self._news:
            came = self._news.wait_for(lambda: self._arrived.count(method) >= count, timeout=20)
            assert came, f"{self._arrived.count(method)} of {count} requests to {method}"

    def __enter__(self) -> "FakeGoogle":
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        # "critical": uvicorn logs a trace for every connection that a fault cuts.
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            log_level="critical",
            access_log=False,
            backlog=1024,
        )
        self._server = _Server(config)
        # Nobody has to wait for the start: the socket already listens.
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="fake-google"
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.faults.clear()
        self.oauth.faults.clear()
        self._server.ended.set()
        self._thread.join(timeout=10)
        self._listener.close()
        if kind is None:
            assert not self.defects, self.defects

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(_API_PATHS):
            await self._others(scope, receive, send)
            return
        asked = await _read(scope, receive)
        api = BATCH_PATHS.get(asked.path)
        if api is not None:
            await _send_answer(await self._batch(api, asked), send)
            return
        answer, fault = await self._answer(asked)
        await _send_answer(answer, send, fault)

    async def _batch(self, api: str, asked: Asked) -> Answer:
        try:
            inner = batched(asked, MAX_BATCH[api])
        except Refused as refused:
            return _refusal(refused)
        return batch_answer([(name, (await self._answer(one))[0]) for name, one in inner])

    async def _answer(self, asked: Asked) -> tuple[Answer, Fault | None]:
        """Return the answer to one request, and how its sending goes wrong."""
        try:
            method, named = find_method(asked.http_method, asked.path)
        except Refused as refused:
            self._note("none", None, {"path": asked.path}, {}, 404)
            return _refusal(refused), None
        with self._news:
            self._arrived.append(method.id)
            self._news.notify_all()
        fault = self.faults.take(method.id)
        if fault is not None and fault.is_held:
            await anyio.to_thread.run_sync(fault.wait)
        is_lost = fault is not None and bool(fault.status or fault.is_cut or fault.is_short)
        if fault is None or not is_lost:
            return self._carried_out(method, named, asked), None
        if fault.acted:
            self._carried_out(method, named, asked)
        else:
            self._note(method.id, None, named, {}, fault.status)
        return _ordered(fault), fault

    def _carried_out(self, method: Method, named: dict[str, str], asked: Asked) -> Answer:
        call: ApiCall | None = None
        try:
            with self.lock:
                call = self._call(method, named, asked)
                answer = _content(method, call)
        except Refused as refused:
            answer = _refusal(refused)
        except Exception as defect:  # noqa: BLE001 - told to the test, which fails with it
            self.defects.append(f"{method.id}: {defect!r}")
            answer = _refusal(Refused(500, "Internal error encountered."))
        account = call.person.email if call else None
        parameters, body = (call.parameters, call.body) if call else (dict(named), {})
        self._note(method.id, account, parameters, body, answer.status)
        return answer

    def _call(self, method: Method, named: dict[str, str], asked: Asked) -> ApiCall:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        identity = self.oauth.identity(token) if scheme.lower() == "bearer" else None
        if identity is None:
            raise bad_token()
        email, scopes = identity[0], frozenset(identity[1])
        if not scopes & method.scopes:
            raise scope_missing(_SERVICES[method.api], method.id)
        parameters = read_parameters(method, named, asked.query)
        content, media = taken_apart(method, asked, parameters.get("uploadType"))
        return ApiCall(
            method=method.id,
            google=self,
            person=self.person(email),
            scopes=scopes,
            parameters=parameters,
            body=read_body(method, content),
            media=media,
            if_match=asked.headers.get("if-match"),
        )

    def _note(
        self,
        method: str,
        account: str | None,
        parameters: dict[str, Any],
        body: dict[str, Any],
        status: int,
    ) -> None:
        with self._news:
            self.calls.append(Seen(method, account, dict(parameters), body, status))
            self._news.notify_all()


class _Server(uvicorn.Server):
    """Ends at once: uvicorn's own looks ten times a second whether it should, and then waits."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = threading.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await anyio.to_thread.run_sync(self.ended.wait)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        while self.server_state.tasks or self.server_state.connections:
            await anyio.lowlevel.checkpoint()


def _content(method: Method, call: ApiCall) -> Answer:
    handler = HANDLERS.get(method.id)
    if handler is None:
        raise Refused(501, f"This fake does not do {method.id}.")
    content = handler(call)
    if content is None:
        return Answer(204)
    check_answer(method, content)
    partial = masked(content, call["fields"])
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    if isinstance(content.get("etag"), str):
        headers["ETag"] = content["etag"]
    return Answer(200, json.dumps(partial, indent=2).encode(), headers)


def _refusal(refused: Refused) -> Answer:
    headers = {"Content-Type": "application/json; charset=UTF-8", **refused.headers}
    return Answer(refused.status, refused.body(), headers)


def _ordered(fault: Fault) -> Answer:
    if not fault.status:
        return Answer(200, b"{" + b" " * 200 + b"}", {"Content-Type": "application/json"})
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return _refusal(Refused(fault.status, "Ordered by the test.", fault.reason, headers))


async def _read(scope: Scope, receive: Receive) -> Asked:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        assert len(body) <= _MAX_BODY_BYTES, "a request that large is a mistake of the test"
        if not message.get("more_body"):
            break
    raw: Iterable[tuple[bytes, bytes]] = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    path = scope["raw_path"].decode("ascii")
    return Asked(scope["method"], path, scope["query_string"].decode("ascii"), headers, body)


async def _send_answer(answer: Answer, send: Send, fault: Fault | None = None) -> None:
    if fault is not None and fault.is_cut:
        # Only the cycle of uvicorn knows the connection: ASGI has no word for hanging up.
        send.__self__.transport.abort()  # type: ignore[attr-defined]
        return
    fields = {**answer.headers, "Content-Length": str(len(answer.body))}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    is_short = fault is not None and fault.is_short
    body = answer.body[: len(answer.body) // 2] if is_short else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": is_short})
    if is_short:
        send.__self__.transport.close()  # type: ignore[attr-defined]
