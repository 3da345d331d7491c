"""Errors as RFC 9457 problem documents, and their place in the OpenAPI document."""

import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope, Send

from orchestrator.errors import FlotillaError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_CODES = {
    400: "invalid_request",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    410: "gone",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    421: "foreign_host",
    422: "invalid_request",
    429: "too_many_requests",
    500: "internal",
    502: "upstream_failed",
    503: "not_ready",
    507: "storage_full",
}


class FieldProblem(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem document. `code` is stable; `detail` is for people."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    retryable: bool = False
    retry_after_s: float | None = None
    errors: list[FieldProblem] | None = None
    error_id: str | None = None
    """Set on unexpected errors; the same id is in the log."""


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route: these statuses, and those every /api route has."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    everywhere = (400, 401, 403, 413, 415, 421, 422, 500, 503)
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*everywhere, *statuses})
    }


def invalid_field(message: str, *place: str | int) -> RequestValidationError:
    """Return the error (422) that says what is wrong with the field at `place` in the body."""
    return RequestValidationError(
        [{"type": "value_error", "loc": ("body", *place), "msg": message}]
    )


def problem(status: int, detail: str, *, code: str | None = None, **extra: Any) -> Problem:
    """Return a problem document; `code` follows from the status unless given."""
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code or _CODES.get(status, "internal"),
        detail=detail,
        **extra,
    )


def problem_of(error: FlotillaError) -> Problem:
    """Return the problem document of an error raised on purpose."""
    return problem(
        error.status,
        str(error),
        code=error.code,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
    )


def problem_response(document: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that carries `document`."""
    all_headers = dict(headers or {})
    if document.retry_after_s is not None:
        all_headers["Retry-After"] = str(ceil(document.retry_after_s))
    if document.status == HTTPStatus.UNAUTHORIZED:
        all_headers["WWW-Authenticate"] = "Bearer"
    body = json.dumps(document.model_dump(exclude_none=True), ensure_ascii=False).encode()
    return Response(body, document.status, all_headers, MEDIA_TYPE)


async def refuse(scope: Scope, send: Send, error: FlotillaError) -> None:
    """Answer a request or WebSocket that will not reach the routes."""
    await send_problem(scope, send, problem_of(error))


async def send_problem(scope: Scope, send: Send, document: Problem) -> None:
    """Send `document` as the whole answer; the server discards a body that is still coming."""
    response = problem_response(document)
    prefix = ""
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": document.code})
            return
        prefix = "websocket."
    start = {"status": document.status, "headers": response.raw_headers}
    await send({"type": f"{prefix}http.response.start", **start})
    await send({"type": f"{prefix}http.response.body", "body": response.body})


async def break_off(scope: Scope, send: Send, error: FlotillaError) -> None:
    """End a request or WebSocket that is under way; a stream ends where it is."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + error.status, "reason": error.code})
    elif scope["state"].get("is_answered"):
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await refuse(scope, send, error)


def install_problems(app: FastAPI) -> None:
    """Make every error of `app` a problem document, in its answers and in its OpenAPI document."""
    app.add_exception_handler(FlotillaError, _answer_flotilla_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(Exception, _answer_unexpected)
    _declare_problem_schema(app)


async def _answer_flotilla_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, FlotillaError)  # noqa: S101 - registered for exactly this class
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("request_failed code=%s detail=%s", error.code, error)
    return problem_response(problem_of(error))


async def _answer_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    errors = [_field_problem(entry) for entry in error.errors()]
    detail = "; ".join(f"{entry.field}: {entry.message}" for entry in errors[:5])
    return problem_response(problem(422, detail or "The request is invalid.", errors=errors))


def _field_problem(entry: Mapping[str, Any]) -> FieldProblem:
    place, *path = [str(part) for part in entry["loc"]]
    if entry["type"] == "json_invalid":
        return FieldProblem(field="body", message="is not valid JSON")
    message = str(entry["msg"]).removeprefix("Value error, ")
    return FieldProblem(field=".".join(path) or place, message=message)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request))
        detail = f"{request.method} is not possible here; try {headers['Allow']}."
    elif error.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"There is nothing at {request.url.path!r}."
    return problem_response(problem(error.status_code, detail), headers)


def allowed_methods(request: Request) -> list[str]:
    """Return the methods of all routes of this path; the framework knows only one route's."""
    routes = request.app.router.routes
    scope = {key: value for key, value in request.scope.items() if key not in ("route", "endpoint")}
    return [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    error_id = f"err_{secrets.token_hex(6)}"
    request.state.error_id = error_id
    logger.error(
        "request_crashed error_id=%s method=%s path=%s",
        error_id,
        request.method,
        request.url.path,
        exc_info=error,
    )
    detail = f"Something went wrong here. The log has more under {error_id}."
    return problem_response(problem(500, detail, error_id=error_id))


def _declare_problem_schema(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for model in (Problem, FieldProblem):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
        return document

    app.openapi = openapi
