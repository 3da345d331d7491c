"""What Google's refusals mean here."""

import datetime
import json
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

from servers.kit.errors import (
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    SignInRequired,
    TooLarge,
    Unavailable,
    UpstreamError,
)
from servers.kit.foreign_text import clean_text

MAX_SAID_CHARS = 300
RATE_REASONS = frozenset(
    {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "concurrentLimitExceeded"}
)
_QUOTA_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"})
_SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_OFF_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})


class OutcomeUnknown(Exception):
    """A write went out and nobody knows whether it had its effect: look before it is done again.

    No UpstreamError, which would say that nothing happened. What is raised out of a tool makes
    the gate say `outcome_unknown`.
    """


class Refusal:
    """An answer of Google that is not the result."""

    def __init__(self, status: int, retry_after: str | None, content: bytes) -> None:
        self.status = status
        self.retry_after_s = _seconds(retry_after)
        """How long Google says to wait; None when it does not say."""
        self._error = _error_in(content)
        self._reasons = _reasons(self._error)

    @property
    def did_not_act(self) -> bool:
        """Whether Google says for sure that it did nothing, and that it may later."""
        return self.status == 429 or (self.status == 403 and bool(self._reasons & RATE_REASONS))

    @property
    def is_passing(self) -> bool:
        """Whether the same request may go well later."""
        return self.did_not_act or self.status >= 500

    @property
    def said(self) -> str:
        """Google's own sentence, on one line, or nothing."""
        message = str(self._error.get("message") or "")
        line = " ".join(clean_text(message, MAX_SAID_CHARS).split())
        return f": {line}" if line else ""

    def error(self, account: str, capability: str) -> UpstreamError:
        """The error for a tool."""
        match self.status:
            case 401:
                return _sign_in(account, capability, "ended")
            case 403:
                return self._forbidden(account, capability)
            case 404 | 410:
                return NotFound(f"Google has no such thing{self.said}")
            case 409 | 412:
                return Conflict(f"It was changed meanwhile, or is there already{self.said}")
            case 413:
                return TooLarge(f"That is too much for Google{self.said}")
            case 429:
                return self._throttled()
            case status if status >= 500:
                return Unavailable(
                    f"Google cannot answer now ({status}).", retry_after_s=self.retry_after_s
                )
            case 400 | 405 | 414 | 422 | 428:
                return InvalidInput(f"Google refused this{self.said}")
            case status:
                return Unavailable(f"Google answered in an unexpected way ({status}).")

    def _forbidden(self, account: str, capability: str) -> UpstreamError:
        if self._reasons & _SCOPE_REASONS:
            return _sign_in(account, capability, "scope")
        if self._reasons & RATE_REASONS:
            return self._throttled()
        if self._reasons & _QUOTA_REASONS:
            return Unavailable(f"Google's quota for this is used up{self.said}")
        if self._reasons & _OFF_REASONS:
            return NotAllowed(
                "This API is not switched on in the owner's Google Cloud project: enable it at"
                f" https://console.cloud.google.com/apis/library and wait a few minutes{self.said}"
            )
        return NotAllowed(f"Google does not let {account} do this{self.said}")

    def _throttled(self) -> Unavailable:
        return Unavailable(
            "Google gets too many requests for this account.", retry_after_s=self.retry_after_s
        )


def _sign_in(account: str, capability: str, reason: Literal["ended", "scope"]) -> SignInRequired:
    sentence = (
        f"Google does not accept the sign-in of {account} any more."
        if reason == "ended"
        else f"{account} has not permitted this at Google yet."
    )
    return SignInRequired(sentence, reason=reason, capability=capability, account=account)


def _error_in(content: bytes) -> dict[str, Any]:
    """The `error` of an answer; an empty one where Google (or a proxy) wrote something else."""
    try:
        answer = json.loads(content)
    except ValueError:
        return {}
    error = cast("dict[str, Any]", answer).get("error") if isinstance(answer, dict) else None
    return cast("dict[str, Any]", error) if isinstance(error, dict) else {}


def _reasons(error: dict[str, Any]) -> frozenset[str]:
    """The reasons in both forms that Google uses: `errors` and `details`."""
    found: set[str] = set()
    for form in ("errors", "details"):
        entries = error.get(form)
        for entry in cast("list[Any]", entries) if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                found.add(str(cast("dict[str, Any]", entry).get("reason")))
    return frozenset(found)


def _seconds(retry_after: str | None) -> float | None:
    """RFC 9110 (10.2.3): seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.isdecimal() and len(retry_after) < 6:
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if until.tzinfo is None:
        return None
    return max(0.0, (until - datetime.datetime.now(datetime.UTC)).total_seconds())
