"""Every way of saying no becomes the right error, in words that say what to do."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.llm.endpoint import Endpoint
from orchestrator.llm.failures import failure_from, parse_retry_after
from orchestrator.llm.openrouter import OpenRouterClient

ENDPOINT = Endpoint(
    base_url="https://user:pass@router.example/v1",
    api_key="sk-or-secret",
    app_title="Flotilla",
    app_url=None,
    name="OpenRouter",
    key_setting="OPENROUTER_API_KEY",
    url_setting="OPENROUTER_BASE_URL",
)


def typed(kind: str, code: int | str = 0) -> dict[str, Any]:
    return {"code": code, "message": "no", "metadata": {"error_type": kind}}


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, None, "model_request"),
        (401, None, "model_auth"),
        (402, None, "model_payment_required"),
        (403, None, "model_auth"),
        (404, None, "model_request"),
        (408, None, "model_unavailable"),
        (413, None, "model_request"),
        (422, None, "model_request"),
        (429, None, "model_rate_limited"),
        (500, None, "model_unavailable"),
        (502, "text", "model_unavailable"),
        (529, ["odd"], "model_unavailable"),
        (307, None, "model_request"),
        (400, typed("payment_required"), "model_payment_required"),
        (403, typed("content_policy_violation"), "model_refused"),
        (400, typed("context_length_exceeded"), "model_request"),
        (200, typed("provider_overloaded"), "model_unavailable"),
        (200, {"code": 429, "message": "x"}, "model_rate_limited"),
        (200, {"code": "429", "message": "x"}, "model_rate_limited"),
        (200, {"code": "server_error", "message": "x"}, "model_unavailable"),
        (401, {"code": "invalid_api_key", "type": "invalid_request_error"}, "model_auth"),
        (429, {"type": "insufficient_quota", "code": None}, "model_payment_required"),
        (403, {"code": 403, "metadata": {"reasons": ["x"], "flagged_input": "y"}}, "model_refused"),
        (503, {"code": 503, "availability": {"retryable": False}}, "model_request"),
        (404, {"code": 404, "availability": {"retryable": True}}, "model_unavailable"),
        (401, {"code": 401, "availability": {"retryable": True}}, "model_auth"),
    ],
)
def test_each_report_has_its_error(status: int, error: Any, code: str) -> None:
    assert failure_from(ENDPOINT, "m/x", error, status=status).code == code


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (401, None, "OpenRouter says the key is not valid. Check OPENROUTER_API_KEY."),
        (403, None, "OpenRouter does not permit this with the present key. Check the rights"),
        (402, None, "OpenRouter says the credits are used up. Add credits there"),
        (404, None, "OpenRouter does not know 'm/x' at this address. Choose another model."),
        (413, None, "This chat is too long for 'm/x'. Start a new one"),
        (400, typed("context_length_exceeded"), "This chat is too long for 'm/x'."),
        (301, None, "router.example answered with a redirect. Check OPENROUTER_BASE_URL."),
        (500, {"message": "boom"}, 'Try again, or choose another model. It says: "boom"'),
        (502, {"message": "a", "metadata": {"raw": "b"}}, 'It says: "a: b"'),
    ],
)
def test_messages_say_what_to_do(status: int, error: Any, sentence: str) -> None:
    assert sentence in str(failure_from(ENDPOINT, "m/x", error, status=status))


def test_upstream_text_is_capped_cleaned_and_never_holds_the_key() -> None:
    text = "key sk-or-secret\x00\x1b[31m\r\n\u202eis bad " + "x" * 5000

    message = str(failure_from(ENDPOINT, "m/x", {"message": text}, status=500))

    assert 'It says: "key [key] [31m is bad xxx' in message
    assert "sk-or-secret" not in message
    assert len(message) < 600


def test_the_wait_is_taken_from_availability_then_from_the_header() -> None:
    error = {"code": 429, "availability": {"retryable": True, "retry_after": 7}}

    assert failure_from(ENDPOINT, "m", error, status=429, retry_after="3").retry_after_s == 7
    assert failure_from(ENDPOINT, "m", None, status=429, retry_after="3").retry_after_s == 3


def test_retry_after_may_be_seconds_or_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    earlier = format_datetime(datetime.now(UTC) - timedelta(seconds=30), usegmt=True)

    assert parse_retry_after("1.5") == 1.5
    assert parse_retry_after(later) == pytest.approx(30, abs=2)
    assert parse_retry_after(earlier) == 0
    assert parse_retry_after("soon") is None
    assert parse_retry_after("nan") is None
    assert parse_retry_after(None) is None


@pytest.mark.parametrize("url", ["", "router.example/v1", "ftp://router.example", "http://"])
def test_a_base_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidRequest, match="OPENROUTER_BASE_URL is not an http"):
        OpenRouterClient(url)


def test_the_key_does_not_show_in_a_representation() -> None:
    assert "sk-or-secret" not in repr(ENDPOINT)
