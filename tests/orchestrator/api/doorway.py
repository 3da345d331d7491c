"""The doors of the API in miniature: all of the middleware, a few routes, a real database."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from orchestrator.api.auth import router as auth_router
from orchestrator.api.authentication import Authentication
from orchestrator.api.authenticator import Authenticator
from orchestrator.api.deadline import DeadlineProtocol
from orchestrator.api.guard import BodyRule, Guard, own_origins
from orchestrator.api.problems import install_problems, problem_responses
from orchestrator.api.static import Frontend
from orchestrator.errors import TooManyRequests
from orchestrator.store.database import Database
from orchestrator.store.local_tokens import ensure_local_tokens
from orchestrator.store.migrate import migrate

PUBLIC_ORIGIN = "https://flotilla.example.org"
PLAIN_ORIGIN = "http://nas.example.org:8000"
"""One that the owner reaches without TLS."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        return self.headers["set-cookie"].partition(";")[0]


@dataclass
class Door:
    """A running orchestrator in miniature, and how to knock at it."""

    port: int
    data_dir: Path
    frontend_dir: Path
    api: FastAPI
    loop: asyncio.AbstractEventLoop | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.data_dir / "tokens" / "cli").read_text().strip()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        json_body: Any = None,
        body: bytes | None = None,
        host: str | None = None,
    ) -> Answer:
        sent = list(headers.items() if isinstance(headers, dict) else headers or [])
        if json_body is not None:
            body = json.dumps(json_body).encode()
            sent.append(("Content-Type", "application/json"))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in sent:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
        connection.close()
        return answer

    def new_code(self) -> str:
        return self.ask("POST", "/api/auth/links", self.bearer).json["code"]

    def sign_in(self, **headers: str) -> Answer:
        return self.ask("POST", "/api/auth/sign-in", headers, {"code": self.new_code()})

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)  # type: ignore[arg-type]


class Note(BaseModel):
    text: str


routes = APIRouter()


@routes.get("/api/sessions", responses=problem_responses())
async def sessions(request: Request) -> dict[str, str]:
    return {"owner": request.state.principal.owner_name}


@routes.post("/api/sessions", responses=problem_responses())
async def add_session(note: Note) -> Note:
    return note


@routes.delete("/api/sessions/{session_id}", responses=problem_responses())
async def remove_session(session_id: str) -> str:
    return session_id


@routes.patch("/api/sessions/{session_id}", responses=problem_responses())
async def rename_session(session_id: str) -> str:
    return session_id


@routes.post("/api/uploads")
async def upload(request: Request) -> int:
    return len(await request.body())


@routes.get("/api/stream")
async def stream(request: Request) -> StreamingResponse:
    async def ticks() -> AsyncGenerator[bytes]:
        try:
            yield b": hello\n\n"
            await asyncio.Event().wait()
        finally:
            request.app.state.streams.append("closed")

    return StreamingResponse(ticks(), media_type="text/event-stream")


@routes.get("/api/busy")
async def busy() -> None:
    raise TooManyRequests("Too many turns run. Wait.", retry_after_s=2.5)


@routes.get("/api/crash")
async def crash() -> None:
    raise RuntimeError("the secret is 42")


@routes.websocket("/api/socket")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.state.principal.owner_name)
    await socket.receive_text()


@routes.get("/health")
async def health() -> str:
    return "ok"


@routes.get("/metrics")
async def metrics() -> str:
    return "none"


def small_app(data_dir: Path) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        path = data_dir / "chat_sessions.db"
        migrate(path)
        app.state.database = Database(path)
        app.state.authenticator = Authenticator(app.state.database)
        await app.state.database.write(ensure_local_tokens, data_dir)
        writer = asyncio.create_task(app.state.authenticator.keep_last_used())
        yield
        writer.cancel()
        await asyncio.wait([writer])
        await app.state.database.close()

    app = FastAPI(lifespan=lifespan, redirect_slashes=False, openapi_url="/api/openapi.json")
    install_problems(app)
    app.include_router(auth_router)
    app.state.streams = []

    app.include_router(routes)
    return app


class QuickDeadlines(DeadlineProtocol):
    header_timeout_s = 0.5
    body_timeout_s = 0.5


def behind_the_doors(api: FastAPI, port: int, frontend_dir: Path) -> Guard:
    own = own_origins(port, [PUBLIC_ORIGIN, PLAIN_ORIGIN])
    uploads = [BodyRule("/api/uploads", max_bytes=3_000_000, any_type=True)]
    inner = Authentication(
        Frontend(api, frontend_dir),
        lambda: api.state.authenticator,
        lambda: api.state.signer,
    )
    return Guard(inner, own, uploads)


@contextmanager
def serving(data_dir: Path, frontend_dir: Path, api: FastAPI | None = None) -> Iterator[Door]:
    """Serve `api`, or the few routes above; the port must be the one `api` thinks it has."""
    api = api or small_app(data_dir)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    door = Door(listener.getsockname()[1], data_dir, frontend_dir, api)
    config = uvicorn.Config(
        behind_the_doors(api, door.port, frontend_dir),
        http=QuickDeadlines,
        loop="uvloop",
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    started = threading.Event()

    async def serve() -> None:
        door.loop = asyncio.get_running_loop()
        await server.startup([listener])
        started.set()
        await server.main_loop()
        await server.shutdown([listener])

    def run() -> None:
        config.load()
        server.lifespan = config.lifespan_class(config)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(20)
    try:
        yield door
    finally:
        server.should_exit = True
        thread.join(20)
