"""The HTTP side of the practice model: the routes of OpenRouter that Flotilla uses."""

from collections import OrderedDict
from datetime import datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from orchestrator.practice.guard import Guard
from orchestrator.practice.model import answer
from orchestrator.practice.requests import BadRequest, ChatRequest, read_request
from orchestrator.practice.wire import Generation, error_body, model_entry

MAX_BODY_BYTES = 32 * 1_048_576
_MAX_RECORDS = 1_000


def create_app(*, pace_ms: float = 15.0, api_key: str | None = None) -> Starlette:
    """Return the app. `pace_ms` passes between two words; without `api_key` any key will do."""
    rooms = _Rooms(pace_ms / 1000)
    return Starlette(
        routes=[
            Route("/api/v1/chat/completions", rooms.complete, methods=["POST"]),
            Route("/api/v1/models", rooms.models),
            Route("/api/v1/key", rooms.key),
            Route("/api/v1/generation", rooms.generation),
        ],
        middleware=[Middleware(Guard, api_key=api_key)],
    )


class _Rooms:
    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self._records: OrderedDict[str, Generation] = OrderedDict()

    async def complete(self, request: Request) -> Response:
        try:
            raw = await _read_body(request)
            wanted = read_request(raw)
        except BadRequest as error:
            return JSONResponse(error_body(error.status, str(error), error.kind), error.status)
        generation = self._generate(wanted, prompt_chars=len(raw))
        headers = {"X-Generation-Id": generation.id}
        if not wanted.stream:
            return JSONResponse(generation.whole(), headers=headers)
        return StreamingResponse(
            generation.events(self._pace_s), media_type="text/event-stream", headers=headers
        )

    async def models(self, _: Request) -> Response:
        return JSONResponse({"data": [model_entry()], "total_count": 1})

    async def key(self, _: Request) -> Response:
        data = {"label": "practice", "limit": None, "limit_remaining": None, "usage": 0}
        return JSONResponse({"data": {**data, "is_free_tier": True}})

    async def generation(self, request: Request) -> Response:
        wanted = request.query_params.get("id", "")
        if wanted not in self._records:
            return JSONResponse(error_body(404, f"No generation {wanted!r}.", "not_found"), 404)
        return JSONResponse({"data": self._records[wanted].record()})

    def _generate(self, wanted: ChatRequest, prompt_chars: int) -> Generation:
        today = datetime.now().astimezone().date()
        generation = Generation(answer(wanted.messages, wanted.tools, today), prompt_chars)
        self._records[generation.id] = generation
        if len(self._records) > _MAX_RECORDS:
            self._records.popitem(last=False)
        return generation


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise BadRequest("The body is too large.", status=413, kind="payload_too_large")
    except ClientDisconnect as error:
        raise BadRequest("The client went away.") from error
    return bytes(body)
