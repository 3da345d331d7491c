"""Turns what upstream reports as an error into the right `ModelError`, in plain words.

Order of trust: `error.availability` (since 2026-08-19), `error.metadata.error_type`, a string
code or type as OpenAI sends, then the status. Table: OpenRouter's error pages of 2026-08-22.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from orchestrator.errors import (
    ModelAuthError,
    ModelError,
    ModelPaymentError,
    ModelRateLimited,
    ModelRefused,
    ModelRequestError,
    ModelUnavailable,
)
from orchestrator.llm.chunks import Raw, is_object
from orchestrator.llm.endpoint import Endpoint

_BY_TYPE: dict[str, type[ModelError]] = {
    "authentication": ModelAuthError,
    "permission_denied": ModelAuthError,
    "invalid_api_key": ModelAuthError,
    "payment_required": ModelPaymentError,
    "insufficient_quota": ModelPaymentError,
    "rate_limit_exceeded": ModelRateLimited,
    "provider_overloaded": ModelUnavailable,
    "provider_unavailable": ModelUnavailable,
    "timeout": ModelUnavailable,
    "server": ModelUnavailable,
    "server_error": ModelUnavailable,
    "overloaded_error": ModelUnavailable,
    "content_policy_violation": ModelRefused,
    "refusal": ModelRefused,
    "context_length_exceeded": ModelRequestError,
    "max_tokens_exceeded": ModelRequestError,
    "string_too_long": ModelRequestError,
    "payload_too_large": ModelRequestError,
    "not_found": ModelRequestError,
    "model_not_found": ModelRequestError,
    "invalid_request": ModelRequestError,
    "invalid_prompt": ModelRequestError,
    "unprocessable": ModelRequestError,
    "precondition_failed": ModelRequestError,
}
_BY_STATUS: dict[int, type[ModelError]] = {
    401: ModelAuthError,
    402: ModelPaymentError,
    403: ModelAuthError,
    408: ModelUnavailable,
    429: ModelRateLimited,
}
_TOO_LONG = {
    "context_length_exceeded",
    "max_tokens_exceeded",
    "string_too_long",
    "payload_too_large",
}
_MAX_RETRY_AFTER_S = 86_400.0


@dataclass(frozen=True, slots=True)
class _Report:
    status: int
    types: tuple[str, ...]
    text: str
    retryable: bool | None
    retry_after_s: float | None
    is_moderation: bool


def failure_from(
    endpoint: Endpoint, model: str, error: Any, *, status: int = 0, retry_after: str | None = None
) -> ModelError:
    """Return the error to raise for an `error` value of a body or chunk.

    `error` may be the vendor's object, a bare string or None; `retry_after` is the header.
    """
    report = _read(error, status, retry_after)
    kind = _kind(report)
    sentence = _sentence(kind, report, endpoint, model)
    if quoted := endpoint.quote(report.text):
        sentence = f'{sentence} It says: "{quoted}".'
    return kind(sentence, retry_after_s=report.retry_after_s)


def parse_retry_after(value: str | None) -> float | None:
    """Return seconds from a Retry-After header, given as seconds or as a date (RFC 9110)."""
    if not value:
        return None
    seconds = _number(value)
    if seconds is None:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


def _read(error: Any, status: int, retry_after: str | None) -> _Report:
    if not is_object(error):
        text = error if isinstance(error, str) else ""
        return _Report(status, (), text, None, parse_retry_after(retry_after), False)
    metadata, availability = _object(error.get("metadata")), _object(error.get("availability"))
    code = error.get("code")
    wait_s = _number(availability.get("retry_after"))
    retryable = availability.get("retryable")
    return _Report(
        status=int(_number(code) or status),
        types=tuple(
            str(kind) for kind in (metadata.get("error_type"), code, error.get("type")) if kind
        ),
        text=_text(error, metadata),
        retryable=retryable if isinstance(retryable, bool) else None,
        retry_after_s=parse_retry_after(retry_after if wait_s is None else str(wait_s)),
        is_moderation="flagged_input" in metadata or "reasons" in metadata,
    )


def _text(error: Raw, metadata: Raw) -> str:
    """Return the message; with the provider's own words when OpenRouter only wraps them."""
    raw = metadata.get("raw")
    texts = [str(error.get("message") or ""), raw if isinstance(raw, str) else ""]
    return ": ".join(text for text in texts if text)


def _kind(report: _Report) -> type[ModelError]:
    kind = next((_BY_TYPE[name] for name in report.types if name in _BY_TYPE), None)
    if report.is_moderation:
        kind = ModelRefused
    if kind is None:
        kind = _BY_STATUS.get(report.status) or (
            ModelRequestError if 300 <= report.status < 500 else ModelUnavailable
        )
    if report.retryable is True and kind is ModelRequestError:
        return ModelUnavailable
    if report.retryable is False and kind.retryable:
        return ModelRequestError
    return kind


def _sentence(kind: type[ModelError], report: _Report, endpoint: Endpoint, model: str) -> str:
    name = endpoint.name
    if kind is ModelAuthError and (report.status == 403 or "permission_denied" in report.types):
        return f"{name} does not permit this with the present key. Check the rights of the key."
    if kind is ModelAuthError:
        return f"{name} says the key is not valid. Check {endpoint.key_setting}."
    if kind is ModelPaymentError:
        return f"{name} says the credits are used up. Add credits there, then try again."
    if kind is ModelRateLimited:
        wait = report.retry_after_s
        when = "in a while" if wait is None else f"in {wait:.0f} s"
        return f"{name} asks to slow down. Try again {when}, or choose another model."
    if kind is ModelRefused:
        return f"{name} refused this content. Change the message, or choose another model."
    if kind is ModelUnavailable:
        status = f" (status {report.status})" if report.status else ""
        return f"{name} could not answer{status}. Try again, or choose another model."
    return _request_sentence(report, endpoint, model)


def _request_sentence(report: _Report, endpoint: Endpoint, model: str) -> str:
    name = endpoint.name
    if report.status == 413 or _TOO_LONG.intersection(report.types):
        return f"This chat is too long for {model!r}. Start a new one, or choose a larger model."
    if 300 <= report.status < 400:
        return f"{endpoint.host} answered with a redirect. Check {endpoint.url_setting}."
    if report.status == 404:
        return f"{name} does not know {model!r} at this address. Choose another model."
    return f"{name} rejected the request for {model!r}. Change the model or its settings."


def _object(value: Any) -> Raw:
    return value if is_object(value) else {}


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < 1e9 else None
