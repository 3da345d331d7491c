"""How Google says no: one exception, and the JSON of both generations of its error format."""

import json
from dataclasses import dataclass, field
from typing import Any

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    410: "FAILED_PRECONDITION",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}
_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    409: "duplicate",
    410: "deleted",
    412: "conditionNotMet",
    413: "uploadTooLarge",
    429: "rateLimitExceeded",
    500: "backendError",
    501: "notImplemented",
    503: "backendError",
}


@dataclass
class Refused(Exception):
    """An answer that is an error. `reason` is the one of the old format, as `notFound`."""

    status: int
    message: str
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    details: list[dict[str, Any]] = field(default_factory=list)
    place: dict[str, str] = field(default_factory=dict)
    """Of an old error: `locationType` and `location`."""

    def body(self) -> bytes:
        """Return the error as Google writes it, with both its formats in one."""
        reason = self.reason or _REASONS.get(self.status, "backendError")
        entry = {"message": self.message, "domain": _domain(reason), "reason": reason}
        error: dict[str, Any] = {
            "code": self.status,
            "message": self.message,
            "errors": [{**entry, **self.place}],
            "status": _STATUS_NAMES.get(self.status, "UNKNOWN"),
        }
        if self.details:
            error["details"] = self.details
        return json.dumps({"error": error}, indent=2).encode()


def _domain(reason: str) -> str:
    is_usage = reason in ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded")
    if is_usage or reason == "dailyLimitExceeded":
        return "usageLimits"
    return "calendar" if reason in ("timeRangeEmpty", "requiredAccessLevel") else "global"


def invalid(message: str, reason: str = "invalidArgument") -> Refused:
    return Refused(400, message, reason)


def not_found(message: str = "Requested entity was not found.") -> Refused:
    return Refused(404, message)


def unknown_name(name: str, where: str) -> Refused:
    """Refuse a field or parameter that Google does not know."""
    violation = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    return _bad_request(name, violation)


def bad_value(name: str, value: object, kind: str) -> Refused:
    """Refuse a field or parameter whose value is of another kind."""
    return _bad_request(name, f"Invalid value at '{name}' ({kind}), {json.dumps(value)}")


def _bad_request(name: str, violation: str) -> Refused:
    detail = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": name, "description": violation}],
    }
    return Refused(400, violation, "invalid", details=[detail])


def bad_token() -> Refused:
    message = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
        "cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project."
    )
    return Refused(
        401,
        message,
        headers={
            "WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
        },
        place={"location": "Authorization", "locationType": "header"},
    )


def scope_missing(service: str, method: str) -> Refused:
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": service, "method": method},
    }
    return Refused(
        403,
        "Request had insufficient authentication scopes.",
        "insufficientPermissions",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'},
        details=[detail],
    )
